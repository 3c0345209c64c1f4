"""The account's profile in requests and replies."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

_PROFILE: JsonDict = {
    "user_id": "u3f9c2d41a07be586",
    "username": "Acme Ltd",
    "company": "Acme Ltd, Plant 2",
    "email": "ops@example.com",
    "telephone": "+39 06 5550 0100",
    "created_at": "2026-01-02T08:30:00Z",
}

Username = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"\S"),
    Field(description="The customer's name, for people."),
]


class Profile(BaseModel):
    """PROFILE: who the customer is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROFILE]})

    user_id: str = Field(description="The UserID; it never changes.")
    username: str = Field(description="The customer's name, for people.")
    company: str = Field(description='"" where nothing is set.')
    email: str = Field(description='Where the customer is reached; "" where nothing is set.')
    telephone: str = Field(description='"" where nothing is set.')
    created_at: datetime = Field(description="When the operator made the account.")


class UpdateProfile(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"telephone": "+39 06 5550 0100"}]}
    )

    # No defaults to be shown: absent is not the same as empty.
    username: Username = Field(default_factory=str)
    company: str = Field(default_factory=str, max_length=200, description='"" clears it.')
    email: str = Field(
        default_factory=str,
        max_length=254,
        pattern=r"^$|^[^@\s]+@[^@\s]+$",
        description='An e-mail address; "" clears it.',
        examples=["plant@example.com"],
    )
    telephone: str = Field(default_factory=str, max_length=50, description='"" clears it.')
