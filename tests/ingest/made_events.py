"""Events, gateways and pairings made by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event, RawEvent
from services.ingest.logic.plan import Known, QueueAddress
from services.ingest.logic.state import DeviceState
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Gateway, Pairing

STREAM = "mymote/0"
DEVICE = "X400_" + "1" * 40
OTHER = "X400_" + "2" * 40
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MANUFACTURED = NOON - timedelta(days=400)
YEAR = timedelta(days=365)


def raw_event(
    sequence_number: int = 0,
    body: bytes = b"payload",
    *,
    device_id: str = DEVICE,
    source: str = "Telemetry",
    mid: str | bytes | None = None,
    created: str | None = None,
    enqueued_at: datetime = NOON,
    content_type: str | None = None,
    **properties: str | bytes,
) -> RawEvent:
    """An event as the SDK gives it: names and texts are bytes, times milliseconds."""
    annotations: dict[str | bytes, object] = {
        b"iothub-connection-device-id": device_id.encode(),
        b"iothub-message-source": source.encode(),
        b"iothub-enqueuedtime": int(enqueued_at.timestamp() * 1000),
    }
    if created is not None:
        annotations[b"iothub-creation-time-utc"] = created.encode()
    return RawEvent(
        sequence_number=sequence_number,
        offset=str(sequence_number),
        enqueued_at=enqueued_at,
        body=body,
        annotations=annotations,
        properties={
            name.encode(): value.encode() if isinstance(value, str) else value
            for name, value in properties.items()
        },
        message_id=mid.encode() if isinstance(mid, str) else mid,
        content_type=content_type,
    )


def data(sequence_number: int, mid: int, device_id: str = DEVICE, **more: object) -> Event:
    """A data message that breaks no rule."""
    return decode(
        raw_event(sequence_number, mid=str(mid), device_id=device_id, **more)  # type: ignore[arg-type]
    )


def gateway(*pairings: Pairing, device_id: str = DEVICE) -> Gateway:
    return Gateway(
        id=device_id,
        device_id=device_id,
        type="X400",
        manufactured_at=MANUFACTURED,
        pairings=list(pairings),
    )


def pairing(
    user_id: str = "alice",
    started_at: datetime = NOON - YEAR,
    ended_at: datetime | None = None,
) -> Pairing:
    return Pairing(user_id=user_id, device_name="Pump", started_at=started_at, ended_at=ended_at)


def device_state(user_id: str = "alice", device_id: str = DEVICE, **changes: object) -> DeviceState:
    values: dict[str, object] = {
        "user_id": user_id,
        "device_id": device_id,
        "name": "Pump 3",
        "status": ConnectionState.DISCONNECTED,
        "stat_device_id": "",
        "stream": "",
        "position": -1,
        "reported": dict.fromkeys(("fwversion", "app_name", "app_version"), ""),
    }
    return DeviceState(**(values | changes))  # type: ignore[arg-type]


def known(*gateways: Gateway, states: Mapping[tuple[str, str], DeviceState] | None = None) -> Known:
    """Every account of a pairing has a queue of its own in the namespace `local`."""
    users = {each.user_id for gateway in gateways for each in gateway.pairings}
    return Known(
        gateways={each.device_id: each for each in gateways},
        queues={user_id: QueueAddress("local", f"user-{user_id}") for user_id in users},
        devices=states or {},
    )
