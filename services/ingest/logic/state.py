"""What events say of a device's state, folded into one change for each device. Pure.

A change carries the position of the last event in it, and is only applied to a document that
an earlier event left (`services.ingest.store.device_state`), so a replay changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.ingest.logic.events import (
    ConnectionChange,
    Event,
    LifecycleChange,
    Message,
    TwinChange,
)
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import DeviceDocument
from shared.schemas.messages import ReportedProperties

REPORTED = tuple(ReportedProperties.model_fields)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The part of a device's document that ingest reads and keeps."""

    user_id: str
    device_id: str
    name: str
    status: ConnectionState
    stat_device_id: str
    stream: str
    position: int
    reported: Mapping[str, str]

    @classmethod
    def of(cls, document: DeviceDocument) -> "DeviceState":
        return cls(
            user_id=document.user_id,
            device_id=document.device_id,
            name=document.name,
            status=document.status,
            stat_device_id=document.stat_device_id,
            stream=document.state_stream,
            position=document.state_position,
            reported={name: getattr(document, name) for name in REPORTED},
        )


@dataclass(slots=True)
class StateChange:
    """What changes in one device's document, and the event that changed it last."""

    user_id: str
    device_id: str
    stream: str
    position: int = -1
    fields: dict[str, str] = field(default_factory=dict)


def observe(
    change: StateChange, known: DeviceState, event: Event, stat_device_id: str
) -> StateChange:
    """Fold one event into the change of its device; what is known already changes nothing."""
    if known.stream == change.stream and event.sequence_number <= known.position:
        return change
    said = _said(event.content)
    said["stat_device_id"] = stat_device_id
    current = {
        "status": known.status.value,
        "stat_device_id": known.stat_device_id,
        **known.reported,
        **change.fields,
    }
    changed = {name: value for name, value in said.items() if current.get(name, value) != value}
    if changed:
        if "status" in changed:
            changed["status_at"] = event.enqueued_at.isoformat()
        change.fields.update(changed)
        change.position = event.sequence_number
    return change


def _said(content: object) -> dict[str, str]:
    match content:
        case Message():  # any telemetry proves that the device is connected
            return {"status": ConnectionState.CONNECTED.value}
        case ConnectionChange(status):
            return {"status": status.value}
        case LifecycleChange(deleted=True):
            return {"status": ConnectionState.DISCONNECTED.value}
        case TwinChange(reported):
            return dict(reported)
    return {}
