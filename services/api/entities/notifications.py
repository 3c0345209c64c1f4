"""Notifications in requests and replies."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from services.api.entities.moment import Moment
from services.api.entities.page import Page

MAX_IDS = 200

RecordId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,255}$")]
DeviceIdText = Annotated[str, StringConstraints(pattern=r"^X400_[0-9a-f]{40}$")]
GroupIdText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class NotificationState(StrEnum):
    """What people did with a notification."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


class WantedState(StrEnum):
    """A state to look for; `open` is whatever is not cleared."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    OPEN = "open"


_EXAMPLE: JsonDict = {
    "id": "8e0f6c1d2b3a49587766554433221100",
    "device_id": "X400_8cb2237d0679ca88db6464eac60da96345513964",
    "device_name": "Pump 3",
    "level": 3,
    "text": "Pressure above 6 bar",
    "created_at": "2026-03-14T11:59:58.120000Z",
    "enqueued_at": "2026-03-14T12:00:00.250000Z",
    "state": "acknowledged",
    "state_at": "2026-03-14T12:05:00.000000Z",
    "state_by": "ada@example.com",
}


class Notification(BaseModel):
    """NOTIFICATION: what a gateway, or the platform about it, tells its account."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str = Field(description="Opaque.")
    device_id: str = Field(description="The DEVICE's `device_id`.")
    device_name: str = Field(description="The device's name when it was told.")
    level: int = Field(ge=1, le=3, description="1 info, 2 warning, 3 alarm.")
    text: str = Field(description="At most 100 bytes of UTF-8.")
    created_at: datetime = Field(description="When the gateway stored it.")
    enqueued_at: datetime = Field(description="When the cloud took it; lists follow this time.")
    state: NotificationState = Field(description="What people did with it.")
    state_at: datetime | None = Field(description="When; null while it is new.")
    state_by: str = Field(
        description="Who: a person's username or an API key's name; \"\" while it is new."
    )


class NotificationPage(Page[Notification]):
    """Some notifications, newest first."""


class LevelCounts(BaseModel):
    """How many there are of each level."""

    info: int = Field(description="Of level 1.")
    warning: int = Field(description="Of level 2.")
    alarm: int = Field(description="Of level 3.")
    total: int = Field(description="Of all levels.")


class NotificationCounts(BaseModel):
    """NOTIFICATIONCOUNTS: how many there are of each state and level."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "new": {"info": 4, "warning": 1, "alarm": 2, "total": 7},
                    "acknowledged": {"info": 0, "warning": 3, "alarm": 0, "total": 3},
                    "cleared": {"info": 40, "warning": 8, "alarm": 2, "total": 50},
                }
            ]
        }
    )

    new: LevelCounts = Field(description="Nobody has seen to these yet.")
    acknowledged: LevelCounts = Field(description="Somebody sees to these.")
    cleared: LevelCounts = Field(description="These are done.")


class NotificationFilter(BaseModel):
    """Which notifications are meant; what is left out does not matter, `{}` is all of them."""

    model_config = ConfigDict(extra="forbid")

    # No Literal: to that, `true` is a 1.
    level: Annotated[int, Field(strict=True, ge=1, le=3)] | None = Field(
        None, description="1 info, 2 warning, 3 alarm."
    )
    device_id: DeviceIdText | None = Field(None, description="Of this device only.")
    group_id: GroupIdText | None = Field(None, description="Of the devices now in this group.")
    state: WantedState | None = Field(None, description="In this state only.")
    since: Moment | None = Field(None, description="Taken by the cloud then or later.")
    until: Moment | None = Field(None, description="Taken by the cloud before then.")


class NotificationSelection(BaseModel):
    """Either `ids` or `filter`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"ids": ["8e0f6c1d2b3a49587766554433221100"]},
                {"filter": {"level": 1, "until": "2026-03-14T12:00:00Z"}},
            ]
        },
    )

    ids: Annotated[list[RecordId], Field(min_length=1, max_length=MAX_IDS)] | None = Field(
        None, description=f"At most {MAX_IDS}; unknown ones are counted in `missing`."
    )
    filter: NotificationFilter | None = Field(
        None, description="What came while the call runs is left out."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "NotificationSelection":
        if (self.ids is None) == (self.filter is None):
            raise ValueError("give either 'ids' or 'filter'")
        return self


class NotificationsChanged(BaseModel):
    """NOTIFICATIONSCHANGED: what a change of many notifications came to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"changed": 12, "unchanged": 1, "missing": 0, "more": False}]
        }
    )

    changed: int = Field(description="How many are in the new state now that were not before.")
    unchanged: int = Field(
        description="How many stay as they are: so already, or cleared where it is to acknowledge."
    )
    missing: int = Field(description="How many of the ids the account does not have.")
    more: bool = Field(description="Whether the filter matches more: repeat the call.")
