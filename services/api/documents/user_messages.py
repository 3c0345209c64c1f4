"""Container `user_messages`, one partition for each device: its outbox, and the messages."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

OUTBOX_ID = "outbox"
DAY_SECONDS = 86_400

# After its last change. A message is open for seven days at most, so none goes unsettled.
KEPT_SECONDS = 30 * DAY_SECONDS


class MessageState(StrEnum):
    """What became of a user message. The first two are open, the others its end."""

    WAITING = "waiting"  # in the outbox
    SENT = "sent"  # IoT Hub has it
    DELIVERED = "delivered"  # the gateway has it
    EXPIRED = "expired"  # nobody took it in its time
    CANCELLED = "cancelled"
    REJECTED = "rejected"  # IoT Hub or the gateway refused it


OPEN = (MessageState.WAITING, MessageState.SENT)


class UserMessage(BaseModel):
    """One message. It changes only in a transaction that changes its device's `Outbox` too."""

    id: str  # IoT Hub's message id as well: a gateway drops an id that it has seen
    device_id: str
    kind: Literal["message"] = "message"
    user_id: str
    paired_at: datetime  # with `user_id`, the pairing it belongs to
    number: int  # the order in which the device's messages were accepted
    body: str = ""  # JSON as it came; "" where a query left it out
    size: int  # bytes
    state: MessageState = MessageState.WAITING
    state_at: datetime
    reason: str = ""  # of the state, in a sentence; "" where it says all
    created_at: datetime
    expires_at: datetime
    attempts: int = 0  # how often it was given to IoT Hub
    sent_at: datetime | None = None  # the last time
    hub_until: datetime | None = None  # how long IoT Hub keeps it
    not_before: datetime | None = None  # when it may be sent again
    withdrawn: bool = False  # somebody cancels it, and IoT Hub has it still
    ttl: int = KEPT_SECONDS


class Outbox(BaseModel):
    """What a device's messages are sent by: one document, changed under its ETag only.

    Whoever sends holds the claim, which runs out by itself; everything is found again by
    `due`, so nothing depends on a process that lives on.
    """

    id: Literal["outbox"] = "outbox"
    device_id: str
    kind: Literal["outbox"] = "outbox"
    user_id: str  # the pairing whose messages are sent; "" where there is none
    paired_at: datetime
    next: int = 1  # number of the next message
    waiting: int = 0  # how many are in this state
    sent: int = 0
    failures: int = 0  # of IoT Hub, one after the other
    look_at: datetime | None = None  # when time alone changes something
    retry_at: datetime | None = None  # what waits is not sent before
    regroup_until: datetime | None = None  # nor while anything is sent: it comes back first
    claim: str = ""  # whoever sends now
    claimed_until: datetime | None = None
    # When somebody must come, in Unix seconds, since the database compares it; None: nothing is
    # open.
    due: float | None = None

    @property
    def open(self) -> int:
        """How many messages have not found their end."""
        return self.waiting + self.sent

    def is_of(self, user_id: str, paired_at: datetime) -> bool:
        """Whether it belongs to this pairing."""
        return (self.user_id, self.paired_at) == (user_id, paired_at)

    def is_claimed(self, now: datetime) -> bool:
        """Whether somebody may be sending."""
        return self.claimed_until is not None and self.claimed_until > now
