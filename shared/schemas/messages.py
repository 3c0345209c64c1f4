"""What gateways and the cloud say to each other (design.md, "Messages")."""

from enum import IntEnum, StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_DATA_BYTES = 3750
MAX_NOTIFICATION_BYTES = 100
MAX_USER_MESSAGE_BYTES = 4096


class MessageType(StrEnum):
    """The application property `type` of a device-to-cloud message; `data` where it is absent."""

    DATA = "data"
    NOTIFICATION = "notification"
    MANAGEMENT = "management"


class Level(IntEnum):
    """The application property `level` of a notification."""

    INFO = 1
    WARNING = 2
    ALARM = 3


class EventSource(StrEnum):
    """The annotation `iothub-message-source`: what kind of event the stream holds."""

    TELEMETRY = "Telemetry"
    TWIN = "twinChangeEvents"
    CONNECTION = "deviceConnectionStateEvents"
    LIFECYCLE = "deviceLifecycleEvents"


class Management(BaseModel):
    """The body of a management message: the gateway's own events, for its timeline."""

    model_config = ConfigDict(extra="forbid")

    event: Literal[
        "started",
        "rebooted",
        "app_restarted",
        "quota_reached",
        "storage_full",
        "network_changed",
    ]
    detail: Any = ""


class ReportedProperties(BaseModel):
    """What a gateway reports of itself in its twin. A field that is None did not change."""

    fwversion: str | None = Field(None, max_length=64)
    app_name: str | None = Field(None, max_length=100)
    app_version: str | None = Field(None, max_length=64)
    connectivity: str | None = Field(None, max_length=64)
    ICCID: str | None = Field(None, max_length=32)
    type: str | None = Field(None, max_length=64)
