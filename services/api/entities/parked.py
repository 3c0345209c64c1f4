"""Parked messages in requests and replies."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from services.api.entities.page import Page


class ParkedReason(StrEnum):
    """Why a message is parked."""

    MALFORMED = "malformed"
    OVER_QUOTA = "over_quota"
    NO_OWNER = "no_owner"
    REFUSED = "refused"


_EXAMPLE: JsonDict = {
    "id": "5d41402abc4b2a76b9719d911017c592",
    "device_id": "X400_8cb2237d0679ca88db6464eac60da96345513964",
    "reason": "over_quota",
    "detail": "the daily quota of 100 data messages is used up",
    "mid": "1031",
    "size": 14,
    "created_at": "2026-03-14T11:59:58.120000Z",
    "enqueued_at": "2026-03-14T12:00:00.250000Z",
    "ordered_at": None,
}


class ParkedMessage(BaseModel):
    """PARKEDMESSAGE: a message that is not delivered yet, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str = Field(description="Opaque.")
    device_id: str = Field(description="The gateway that it comes from.")
    reason: ParkedReason = Field(
        description=(
            "`malformed` and `over_quota` wait for an order to be redelivered; `refused` is "
            "delivered, in order, when the account's queue takes messages again."
        )
    )
    detail: str = Field(description="The reason in words.")
    mid: str = Field(description='The message id that the gateway gave it; "" for none.')
    size: int = Field(description="Bytes of the body.")
    created_at: datetime = Field(description="When the gateway stored it.")
    enqueued_at: datetime = Field(
        description="When the cloud took it; seven days later it is deleted."
    )
    ordered_at: datetime | None = Field(
        description="When its redelivery was ordered; null where it was not."
    )


class ParkedMessageWhole(ParkedMessage):
    """PARKEDMESSAGEWHOLE: a parked message with all that the gateway wrote."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _EXAMPLE
                | {
                    "content_type": "application/json",
                    "properties": {"type": "data", "user_route": "north"},
                    "body": '{"level": 6.1}',
                    "body_encoding": "text",
                }
            ]
        }
    )

    content_type: str = Field(description='As the gateway wrote it; "" for none.')
    properties: dict[str, str] = Field(description="Application properties, as text.")
    body: str = Field(description="As text where it is printable UTF-8, else as hex digits.")
    body_encoding: Literal["text", "hex"] = Field(description="Which of both it is.")


class ParkedPage(Page[ParkedMessage]):
    """Some parked messages, oldest first."""


class ParkedSelection(BaseModel):
    """Which parked messages are meant; `{}` is all of them."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reasons": ["over_quota"]}]}
    )

    device_id: Annotated[str, StringConstraints(pattern=r"^X400_[0-9a-f]{40}$")] | None = Field(
        None, description="Of this device only."
    )
    reasons: Annotated[list[ParkedReason], Field(max_length=4)] = Field(
        default_factory=list, description="Of these reasons only; none is any."
    )


class ParkedChanged(BaseModel):
    """PARKEDCHANGED: what an order for many parked messages came to."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"done": 17, "left": 0, "why": "", "more": False}]}
    )

    done: int = Field(description="How many are ordered to be redelivered, or discarded.")
    left: int = Field(description="How many were left as they are.")
    why: str = Field(description='Why the last of those was left; "" where none was.')
    more: bool = Field(description="Whether more are meant than one call does: repeat it.")
