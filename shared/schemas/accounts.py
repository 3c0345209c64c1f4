"""Accounts as container `accounts` keeps them: customers, their keys and their people."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field


class Scope(StrEnum):
    """What an API key or a person may do; each but `read` includes `read`, `admin` includes all."""

    READ = "read"
    WRITE = "write"  # devices, groups, notifications, user messages, parked messages
    OTA = "ota"  # apps, their versions, orders to install
    ADMIN = "admin"  # keys, people, the profile, secrets


class Role(StrEnum):
    """What a person is within an account."""

    OWNER = "owner"
    OPERATOR = "operator"
    VIEWER = "viewer"


class ApiKey(BaseModel):
    """One API key of an account. The key itself is never stored, only its hash."""

    id: str
    name: str
    sha256: str  # hex; keys are 256 random bits, so one round of SHA-256 is enough
    scopes: list[Scope] = Field(default_factory=lambda: [Scope.ADMIN])
    created_at: datetime
    created_by: str = ""  # a person's username, a key's name, or "operator"
    created_by_id: str = ""  # the person's or key's; "" for the operator
    expires_at: datetime | None = None
    replaced_by: str = ""  # the id of the key that it was renewed to


class Member(BaseModel):
    """A person's place in an account; the truth about who belongs to it and as what."""

    person_id: str
    username: str
    role: Role
    joined_at: datetime


class Invitation(BaseModel):
    """A link by which one person may join. The token itself is never stored, only its hash."""

    id: str
    sha256: str  # hex; a token is 256 random bits
    role: Role
    note: str = ""  # for whom, as the inviter wrote it
    created_at: datetime
    created_by: str
    created_by_id: str = ""  # a person's or key's; "" for the operator
    expires_at: datetime


class Account(BaseModel):
    """Container `accounts`: a customer, its keys, its people and where its queue is.

    Changed under its ETag only, so that a key, a person or an invitation is never lost or used
    twice.
    """

    id: str  # equals user_id
    user_id: str
    username: str
    company: str = ""
    email: str = ""
    telephone: str = ""
    servicebus_namespace: str  # a name in the settings' list of namespaces
    queue: str  # user-{user_id}
    queue_renewal_until: datetime | None = None  # its key is being renewed; nobody else may
    api_keys: list[ApiKey]
    members: list[Member] = Field(default_factory=list)
    invitations: list[Invitation] = Field(default_factory=list)
    created_at: datetime
