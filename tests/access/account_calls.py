"""Calling the API with one key, in the header."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.customers import Customer


@dataclass(frozen=True)
class Caller:
    """An account's key, and the calls that it makes."""

    client: httpx.AsyncClient
    user_id: str
    api_key: str

    def with_key(self, api_key: str) -> "Caller":
        return Caller(self.client, self.user_id, api_key)

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method,
            f"/api/user/{self.user_id}/-{path}",
            json=body,
            headers={"X-API-Key": self.api_key, **named},
        )

    async def get(self, path: str) -> Any:
        """The body of a reply that must be 200."""
        reply = await self.call("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def new_key(self, *scopes: str, **more: Any) -> Any:
        """NEWKEY."""
        body = {"name": "test", "scopes": scopes or ("admin",), **more}
        reply = await self.call("POST", "/account/keys", body)
        assert reply.status_code == 201, reply.text
        return reply.json()


def caller_of(client: httpx.AsyncClient, customer: Customer) -> Caller:
    return Caller(client, customer.user_id, customer.api_key)
