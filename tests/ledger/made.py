"""A small clean run, made up: what the checker is tried on."""

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.schemas.documents import (
    DayCount,
    Gateway,
    Ledger,
    Notification,
    Pairing,
    ParkedMessage,
    Position,
    Quota,
    TimelineEntry,
)
from tests.ledger.evidence import Documents, Evidence
from tests.ledger.oracle import Rules, iso
from tests.ledger.records import Received, Stored, StreamEvent, Taken

DEVICE, OTHERS = "X400_" + "a" * 40, "X400_" + "b" * 40
ANN, BEN = "ann", "ben"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = NOON.date()


@dataclass(frozen=True)
class Sent:
    """A message that a gateway sent `second` seconds after noon."""

    mid: int
    second: float
    body: bytes
    kind: str = "data"
    device_id: str = DEVICE

    @property
    def at(self) -> datetime:
        return NOON + timedelta(seconds=self.second)


def clean() -> Evidence:
    """Ann's gateway sends data, a notification, garbage and more than its quota; Ben's one data.

    Everything is where it belongs.
    """
    sent = [
        Sent(1, 1, json.dumps({"event": "started"}).encode(), "management"),
        Sent(2, 2, b"one"),
        Sent(3, 3, b"two"),
        Sent(4, 4, b"hot", "notification"),
        Sent(5, 5, b"\xff", "notification"),
        Sent(6, 6, b"three"),
        Sent(7, 7, b"too much"),
        Sent(1, 8, b"other", device_id=OTHERS),
    ]
    stream = [_event(number, each) for number, each in enumerate(sent)]
    return Evidence(
        rules=Rules(data=3),
        sent=7,
        fleet=[_stored(each) for each in sent] + [_taken(each) for each in sent],
        stream=[*stream, replace(stream[2], sequence_number=len(stream))],  # IoT Hub repeats one
        received=[
            received(sent[1], ANN, 1),
            received(sent[2], ANN, 2),
            received(sent[5], ANN, 4),  # a duplicate was dropped before
            received(sent[7], BEN, 1),
        ],
        documents=_documents(sent, len(stream)),
    )


def received(sent: Sent, user_id: str, number: int) -> Received:
    """A message as a reader got it."""
    return Received(
        user_id=user_id,
        queue_number=number,
        queued_at=sent.at,
        received_at=sent.at.timestamp(),
        message_id=f"id {sent.device_id} {sent.mid}",
        properties={
            "iothub-connection-device-id": sent.device_id,
            "device_name": f"of {user_id}",
            "iothub-creation-time-utc": iso(sent.at),
            "mid": str(sent.mid),
        },
        content_type="text/plain",
        body=sent.body,
    )


def pairing(user_id: str, second: float = -60, until: float | None = None) -> Pairing:
    """From and until seconds after noon."""
    return Pairing(
        user_id=user_id,
        device_name=f"of {user_id}",
        started_at=NOON + timedelta(seconds=second),
        ended_at=None if until is None else NOON + timedelta(seconds=until),
    )


def gateway(device_id: str, *pairings: Pairing) -> Gateway:
    made = NOON - timedelta(days=1)
    return Gateway(
        id=device_id,
        device_id=device_id,
        type="X400",
        manufactured_at=made,
        pairings=list(pairings),
    )


def _documents(sent: list[Sent], last: int) -> Documents:
    return Documents(
        gateways={DEVICE: gateway(DEVICE, pairing(ANN)), OTHERS: gateway(OTHERS, pairing(BEN))},
        positions={
            "0": Position(partition="hub/0", sequence_number=last, offset="", enqueued_at=NOON)
        },
        ledgers=[
            _ledger(DEVICE, ANN, [sent[1], sent[2], sent[3], sent[5]], Quota(DAY, 3, 1, True)),
            _ledger(OTHERS, BEN, [sent[7]], Quota(DAY, 1)),
        ],
        notifications=[
            notification(sent[3].at, ANN, sent[3].body.decode()),
            notification(sent[6].at, ANN, "Quota of 3 data messages a day is used up", level=2),
        ],
        parked=[parked(sent[4], ANN, "malformed"), parked(sent[6], ANN, "over_quota")],
        timeline=[
            TimelineEntry(
                id="t",
                device_id=DEVICE,
                user_id=ANN,
                event="started",
                detail="",
                created_at=sent[0].at,
                enqueued_at=sent[0].at,
            )
        ],
    )


def notification(at: datetime, user_id: str, text: str, level: int = 3) -> Notification:
    return Notification(
        id=f"{user_id} {text}",
        user_id=user_id,
        device_id=DEVICE,
        device_name=f"of {user_id}",
        level=level,
        text=text,
        created_at=at,
        enqueued_at=at,
    )


def parked(sent: Sent, holder: str, reason: str) -> ParkedMessage:
    return ParkedMessage.model_validate(
        {
            "id": f"id {sent.mid}",
            "holder": holder,
            "device_id": sent.device_id,
            "reason": reason,
            "detail": "",
            "mid": str(sent.mid),
            "body": base64.b64encode(sent.body).decode(),
            "properties": {},
            "annotations": {},
            "created_at": sent.at,
            "stream": "hub/0",
            "sequence_number": 0,
            "enqueued_at": sent.at,
            "ttl": 1,
        }
    )


def _ledger(device_id: str, user_id: str, counted: list[Sent], quota: Quota) -> Ledger:
    size = sum(len(each.body) for each in counted)
    return Ledger(
        id=device_id,
        partition="hub/0",
        quota=quota,
        owner=pairing(user_id).owner,
        messages=len(counted),
        bytes=size,
        days={DAY: DayCount(len(counted), size)},
    )


def _event(number: int, sent: Sent) -> StreamEvent:
    level = {"level": "3"} if sent.kind == "notification" else {}
    return StreamEvent(
        partition="0",
        sequence_number=number,
        device_id=sent.device_id,
        source="Telemetry",
        enqueued_at=sent.at,
        claimed_at=sent.at,
        mid=str(sent.mid),
        properties={"type": sent.kind} | level,
        content_type="text/plain",
        body=sent.body,
    )


def _stored(sent: Sent) -> Stored:
    digest = sha256(sent.body).hexdigest()
    return Stored(sent.device_id, sent.mid, sent.kind, digest, sent.at.timestamp())


def _taken(sent: Sent) -> Taken:
    return Taken(sent.device_id, sent.mid, sent.at.timestamp())
