"""API keys in requests and replies."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from services.api.entities.moment import Moment
from services.api.logic.ids import MAX_KEY_NAME
from shared.schemas.accounts import Scope

MAX_OVERLAP_SECONDS = 90 * 86_400

KeyName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_KEY_NAME, pattern=r"\S"),
    Field(description="What the key is for, in the owner's words.", examples=["billing server"]),
]
Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        max_length=len(Scope),
        description=(
            "What the key may do: `read`; `write` (devices, groups, notifications, messages); "
            "`ota` (apps and orders to install); `admin` (everything, secrets and keys too). "
            "Every scope includes `read`."
        ),
        examples=[["read", "write"]],
    ),
]

_USE: JsonDict = {
    "at": "2026-03-14T12:00:00Z",
    "address": "203.0.113.7",
    "operations": [{"operation": "listDevices", "at": "2026-03-14T12:00:00Z", "count": 1208}],
}
_KEY: JsonDict = {
    "id": "4f1c08be2a9d7763",
    "name": "billing server",
    "scopes": ["read"],
    "created_at": "2026-01-02T08:30:00Z",
    "created_by": "ada@example.com",
    "created_by_gone": False,
    "expires_at": None,
    "valid": True,
    "replaced_by": "",
    "last_use": _USE,
}
_NEW_KEY: JsonDict = {**_KEY, "last_use": None, "api_key": "9b0e…64 hex digits…41c7"}


class OperationUse(BaseModel):
    """One kind of call that was made with a key."""

    operation: str = Field(description="Its operation id in this reference.")
    at: datetime = Field(description="The last time.")
    count: int = Field(description="How often, since the key was made.")


class KeyUse(BaseModel):
    """KEYUSE: what a key is used for; other processes' last 15 seconds may be missing."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USE]})

    at: datetime = Field(description="The last time.")
    address: str = Field(description="The client's address, then.")
    operations: list[OperationUse] = Field(description="Each call that was made, the last first.")


class ApiKey(BaseModel):
    """APIKEY: an API key as its account's owners see it. The key itself is stored nowhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: str = Field(description="Opaque, and no secret.")
    name: str = Field(description="What the key is for, in the owner's words.")
    scopes: list[Scope] = Field(description="What the key may do.")
    created_at: datetime = Field(description="When it was made.")
    created_by: str = Field(
        description="Who made it: a person's username, a key's name, or `operator`."
    )
    created_by_gone: bool = Field(
        description="Whether that person was removed since, or that key revoked. The key is the "
        "account's and stays: revoke it, or renew it where they may have a copy."
    )
    expires_at: datetime | None = Field(description="When it ends; null: never.")
    valid: bool = Field(description="Whether it opens the account now.")
    replaced_by: str = Field(description='The id of the key that it was renewed to, or "".')
    last_use: KeyUse | None = Field(description="Null: never used.")


class NewApiKey(ApiKey):
    """NEWAPIKEY: the one reply that holds the key itself. Keep it, it cannot be shown again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NEW_KEY]})

    api_key: str = Field(description="The key: 64 hex digits.")


class CreateKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "billing server", "scopes": ["read"]}]},
    )

    name: KeyName
    scopes: Scopes
    expires_at: Moment | None = Field(
        None, description="When it ends, at most ten years from now; null: never."
    )


class UpdateKey(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"expires_at": "2027-01-01T00:00:00Z"}]},
    )

    # No defaults to be shown: absent is not the same as empty.
    name: KeyName = Field(default_factory=str)
    scopes: Scopes = Field(default_factory=list)
    expires_at: Moment | None = Field(
        default_factory=lambda: None,
        description="When it ends, at most ten years from now; null: never.",
    )


class RenewKey(BaseModel):
    """How long the old key stays valid beside the new one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 86400}]}
    )

    overlap_seconds: int = Field(
        strict=True,
        ge=0,
        le=MAX_OVERLAP_SECONDS,
        description=(
            "So that clients can move to the new key, 90 days at most; 0 ends the old one at once."
        ),
    )
