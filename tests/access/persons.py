"""People who join accounts and sign in, as the tests of this folder need them."""

import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.customers import Customer


@dataclass(frozen=True)
class Persona:
    """Somebody who is signed in."""

    user_id: str
    person_id: str
    username: str
    password: str
    token: str
    session_id: str

    @property
    def base(self) -> str:
        return f"/api/user/{self.user_id}/-"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def new_username() -> str:
    return f"person-{secrets.token_hex(6)}@example.com"


def new_password() -> str:
    return secrets.token_urlsafe(16)


async def invite(client: httpx.AsyncClient, customer: Customer, role: str) -> Any:
    reply = await client.post(f"{customer.base}/invitations", json={"role": role})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def accept(
    client: httpx.AsyncClient, token: str, username: str, password: str
) -> httpx.Response:
    body = {"token": token, "username": username, "password": password}
    return await client.post("/api/invitations/accept", json=body)


async def login(client: httpx.AsyncClient, username: str, password: str) -> httpx.Response:
    return await client.post("/api/login", json={"username": username, "password": password})


async def join(
    client: httpx.AsyncClient, customer: Customer, role: str, username: str = ""
) -> Persona:
    """Invited, accepted, signed in."""
    username, password = username or new_username(), new_password()
    invitation = await invite(client, customer, role)
    accepted = await accept(client, invitation["token"], username, password)
    assert accepted.status_code == 201, accepted.text
    return await signed_in(client, username, password)


async def signed_in(client: httpx.AsyncClient, username: str, password: str) -> Persona:
    reply = await login(client, username, password)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    session = body["session"]
    return Persona(
        user_id=body["user_id"],
        person_id=session["person_id"],
        username=username,
        password=password,
        token=body["token"],
        session_id=session["id"],
    )
