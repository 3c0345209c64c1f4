"""Signing in and sessions in requests and replies."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.api.entities.page import Page
from services.api.entities.people import NewPassword
from services.api.logic.passwords import LONGEST
from shared.schemas.accounts import Role, Scope

_SESSION: dict[str, str | bool] = {
    "id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "person_id": "5e884898da28047151d0e56f8dc62927",
    "username": "ada@example.com",
    "created_at": "2026-03-14T12:00:00Z",
    "seen_at": "2026-03-14T16:25:00Z",
    "ends_at": "2026-03-21T16:25:00Z",
    "address": "203.0.113.7",
    "agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "current": True,
}


class Login(BaseModel):
    """What a person signs in with."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"username": "ada@example.com", "password": "correct horse battery staple"}
            ]
        },
    )

    username: str = Field(min_length=1, max_length=100, description="In upper or lower case.")
    password: str = Field(min_length=1, max_length=LONGEST, description="The person's own.")


class Session(BaseModel):
    """SESSION: a person who is signed in somewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_SESSION}]})

    id: str = Field(description="Opaque, and no secret.")
    person_id: str = Field(description="The PERSON's `id`.")
    username: str = Field(description="The person's.")
    created_at: datetime = Field(description="When they signed in.")
    seen_at: datetime = Field(description="When they last did something, to five minutes.")
    ends_at: datetime = Field(description="When it ends if they do nothing more.")
    address: str = Field(description="The client's address when they signed in.")
    agent: str = Field(description="The client's User-Agent then, cut at 200 characters.")
    current: bool = Field(description="Whether this very call was made with it.")


class SessionPage(Page[Session]):
    """SESSIONPAGE: some sessions, the newest first."""


class SignedIn(BaseModel):
    """SIGNEDIN: the one reply that holds a session's token."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token": "u3f9c2d41a07be586.…64 hex digits…",
                    "user_id": "u3f9c2d41a07be586",
                    "role": "owner",
                    "session": {**_SESSION},
                }
            ]
        }
    )

    token: str = Field(
        description=(
            "Send it as `Authorization: Bearer …`, with `-` in the key's place of the path."
        )
    )
    user_id: str = Field(description="The account's UserID, for the path.")
    role: Role = Field(description="What the person is in the account.")
    session: Session = Field(description="What `token` opens.")


class Me(BaseModel):
    """ME: who makes this call, and what they may do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "person",
                    "id": "5e884898da28047151d0e56f8dc62927",
                    "name": "ada@example.com",
                    "user_id": "u3f9c2d41a07be586",
                    "role": "owner",
                    "scopes": ["admin"],
                    "session_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                }
            ]
        }
    )

    kind: Literal["key", "person"] = Field(description="An API key, or a person who signed in.")
    id: str = Field(description="The APIKEY's or PERSON's `id`.")
    name: str = Field(description="The key's name or the person's username.")
    user_id: str = Field(description="The account's UserID.")
    role: Role | None = Field(description="A person's; null for a key.")
    scopes: list[Scope] = Field(description="Each includes `read`; `admin` includes all.")
    session_id: str = Field(description='A person\'s; "" for a key.')


class ChangePassword(BaseModel):
    """The old password, and the one that shall replace it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "password": "correct horse battery staple",
                    "new_password": "an even longer sentence of mine",
                }
            ]
        },
    )

    password: str = Field(min_length=1, max_length=LONGEST, description="The present one.")
    new_password: NewPassword
