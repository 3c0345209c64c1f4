"""What became of each message, for whoever checks that nothing is lost."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from x400.messages import Stored


class Fate(StrEnum):
    """What can happen to a message. More than one may: one that the hub took may be wiped."""

    STORED = "stored"  # durable, under its mid
    ACKNOWLEDGED = "acknowledged"  # the hub sent PUBACK; again, if a kill came before it was noted
    WIPED = "wiped"  # gone; if it was in flight, the hub may have it all the same


@dataclass(frozen=True)
class Record:
    """One thing that happened to a message, the gateway's own events included.

    `message.mid` is its `$.mid` and `message.created_ms` its `$.ctime`.
    """

    fate: Fate
    message: Stored
    at_ms: int  # Unix time, by the gateway's clock


Watcher = Callable[[Record], None]


def write_to(path: Path, device_id: str) -> Watcher:
    """A watcher that appends a JSON line for each record; the body as its SHA-256."""

    def write(record: Record) -> None:
        message = record.message
        line = {
            "fate": record.fate.value,
            "at_ms": record.at_ms,
            "device": device_id,
            "mid": message.mid,
            "kind": message.draft.kind.value,
            "created_ms": message.created_ms,
            "sha256": hashlib.sha256(message.draft.body).hexdigest(),
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return write
