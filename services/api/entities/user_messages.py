"""User messages in replies."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.api.documents.user_messages import MessageState
from services.api.entities.page import Page

_EXAMPLE: JsonDict = {
    "id": "5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18",
    "device_id": "X400_8cb2237d0679ca88db6464eac60da96345513964",
    "body": '{"setpoint": 21.5}',
    "state": "delivered",
    "state_at": "2026-03-14T12:00:04.310000Z",
    "reason": "",
    "created_at": "2026-03-14T12:00:03.950000Z",
    "expires_at": "2026-03-16T12:00:03.950000Z",
    "attempts": 1,
    "sent_at": "2026-03-14T12:00:03.980000Z",
}


class WantedMessageState(StrEnum):
    """A state to look for; `open` is what is waiting or sent."""

    OPEN = "open"
    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class UserMessageState(BaseModel):
    """USERMESSAGE: a message to a gateway's app, and what became of it.

    `waiting` (stored here), `sent` (on its way to the gateway), then its end: `delivered` (the
    gateway has it), `expired`, `cancelled` or `rejected`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str = Field(description="A UUID.")
    device_id: str = Field(description="The DEVICE's `device_id`.")
    body: str = Field(description="The JSON value as it was sent, byte for byte.")
    state: MessageState = Field(description="What became of it.")
    state_at: datetime = Field(description="Since when.")
    reason: str = Field(description='Why, in a sentence; "" where the state says all.')
    created_at: datetime = Field(description="When it was accepted.")
    expires_at: datetime = Field(description="Until when it is worth to deliver it.")
    attempts: int = Field(ge=0, description="How often it was put on its way.")
    sent_at: datetime | None = Field(description="When, the last time; null while it never was.")


class UserMessagePage(Page[UserMessageState]):
    """Some user messages of a device, newest first."""
