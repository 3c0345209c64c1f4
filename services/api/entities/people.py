"""People and invitations in requests and replies."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.logic.passwords import LONGEST, SHORTEST
from services.api.logic.tokens import MAX_TOKEN
from shared.schemas.accounts import Role

HOUR_SECONDS, DAY_SECONDS = 3600, 86_400

_PERSON: dict[str, str] = {
    "id": "5e884898da28047151d0e56f8dc62927",
    "username": "ada@example.com",
    "role": "owner",
    "joined_at": "2026-03-14T12:00:00Z",
}
_INVITATION: dict[str, str] = {
    "id": "i8c1f0a9b7d6e5432",
    "role": "operator",
    "note": "Grace, night shift",
    "created_at": "2026-03-14T12:00:00Z",
    "created_by": "ada@example.com",
    "expires_at": "2026-03-21T12:00:00Z",
}
_TOKEN = "u3f9c2d41a07be586.…64 hex digits…"  # noqa: S105 - an example

Username = Annotated[
    str,
    StringConstraints(min_length=3, max_length=100),
    Field(
        description=(
            "3 to 100 letters, digits and `. _ % + @ ' -`, a letter or digit first; an e-mail "
            "address is one. Unique on the platform, the same in upper and lower case."
        ),
        examples=["grace@example.com"],
    ),
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=SHORTEST, max_length=LONGEST),
    Field(
        description=f"{SHORTEST} to {LONGEST} characters, and not the username.",
        examples=["correct horse battery staple"],
    ),
]
RoleField = Annotated[
    Role,
    Field(
        description=(
            "`owner` may do everything; `operator` reads, and changes devices, groups, "
            "notifications, messages and apps; `viewer` reads."
        )
    ),
]


class Person(BaseModel):
    """PERSON: somebody who signs in to this account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_PERSON}]})

    id: str = Field(description="Opaque.")
    username: str = Field(description="As they typed it when they joined.")
    role: RoleField
    joined_at: datetime = Field(description="When they accepted their invitation.")


class UpdatePerson(BaseModel):
    """What can be changed of a person."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "operator"}]}
    )

    role: RoleField


class Invitation(BaseModel):
    """INVITATION: a link by which one person may join this account, once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_INVITATION}]})

    id: str = Field(description="Opaque.")
    role: RoleField
    note: str = Field(description='For whom it is, in the inviter\'s words; "" for nothing.')
    created_at: datetime = Field(description="When it was made.")
    created_by: str = Field(description="Who made it: a person's username or a key's name.")
    expires_at: datetime = Field(description="When it stops working.")


class NewInvitation(Invitation):
    """NEWINVITATION: the one reply that holds the link. It cannot be shown again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_INVITATION,
                    "token": _TOKEN,
                    "link": f"https://mymote.example.com/join#{_TOKEN}",
                }
            ]
        }
    )

    token: str = Field(description="What `POST /api/invitations/accept` takes.")
    link: str = Field(description="A page where the invited person chooses username and password.")


class CreateInvitation(BaseModel):
    """An invitation to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"role": "operator", "note": "Grace, night shift"}]},
    )

    role: RoleField
    note: str = Field("", max_length=200, description="For whom it is.")
    expires_in_seconds: int = Field(
        7 * DAY_SECONDS,
        strict=True,
        ge=HOUR_SECONDS,
        le=30 * DAY_SECONDS,
        description="How long it works: an hour to 30 days.",
    )


class AcceptInvitation(BaseModel):
    """What an invited person chooses."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "token": _TOKEN,
                    "username": "grace@example.com",
                    "password": "correct horse battery staple",
                }
            ]
        },
    )

    token: str = Field(
        min_length=1, max_length=MAX_TOKEN, description="What stands behind `#` in the link."
    )
    username: Username
    password: NewPassword


class Accepted(BaseModel):
    """ACCEPTED: who joined which account; `POST /api/login` comes next."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "u3f9c2d41a07be586", "person": {**_PERSON}}]}
    )

    user_id: str = Field(description="The account's UserID.")
    person: Person = Field(description="Who joined.")
