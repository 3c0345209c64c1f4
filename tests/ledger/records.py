"""What was seen of each message on its way, each kind where it can be seen: nobody's opinion."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


class Key(NamedTuple):
    """A message: which gateway stored it, under which id."""

    device_id: str
    mid: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A gateway has a message durably, its app is told so next. Times are Unix seconds."""

    device_id: str
    mid: int
    kind: str  # "management" where the gateway itself made it, not its app
    sha256: str  # of the body, in hex
    at: float

    @property
    def key(self) -> Key:
        return Key(self.device_id, str(self.mid))


@dataclass(frozen=True, slots=True)
class Taken:
    """The hub acknowledged a message to its gateway (PUBACK); again, if a kill came in between."""

    device_id: str
    mid: int
    at: float

    @property
    def key(self) -> Key:
        return Key(self.device_id, str(self.mid))


@dataclass(frozen=True, slots=True)
class Wiped:
    """A gateway wiped a message at its pairing, as it should; the hub may have it all the same."""

    device_id: str
    mid: int
    at: float

    @property
    def key(self) -> Key:
        return Key(self.device_id, str(self.mid))


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event as the event stream holds it."""

    partition: str
    sequence_number: int
    device_id: str
    source: str  # the annotation iothub-message-source
    enqueued_at: datetime  # when the hub took it
    claimed_at: datetime | None  # $.ctime
    mid: str
    properties: Mapping[str, str]  # application properties
    content_type: str | None
    body: bytes

    @property
    def key(self) -> Key:
        return Key(self.device_id, self.mid)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as an account's reader got it. Its number says when the queue took it."""

    user_id: str
    queue_number: int
    queued_at: datetime
    received_at: float
    message_id: str
    properties: Mapping[str, str]
    content_type: str | None
    body: bytes

    @property
    def key(self) -> Key:
        properties = self.properties
        return Key(properties.get("iothub-connection-device-id", ""), properties.get("mid", ""))


@dataclass(slots=True)
class PairingChange:
    """A call that changed whose a gateway is, from its start until it was told done."""

    device_id: str
    user_id: str
    what: str  # "pair" or "unpair"
    began: float
    finished: float = 0.0
    # When each write of the gateway's document was acknowledged.
    written: list[float] = field(default_factory=list)
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A fault as it was made."""

    at: float
    what: str
    target: str


FleetRecord = Stored | Taken | Wiped
_KINDS: dict[str, type[FleetRecord]] = {"stored": Stored, "taken": Taken, "wiped": Wiped}


class FleetLog:
    """A fleet's durable record, a JSON line each: what is written survives a SIGKILL."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, record: FleetRecord) -> None:
        """One line, in one call to the system."""
        line = {"what": type(record).__name__.lower(), **asdict(record)}
        self._file.write(json.dumps(line).encode() + b"\n")

    def idle(self, at: float) -> None:
        """Everything of the plan was stored and delivered."""
        self._file.write(json.dumps({"what": "idle", "at": at}).encode() + b"\n")


def fleet_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a fleet's record; one that a SIGKILL cut short is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def read_fleet(path: Path) -> Iterator[FleetRecord]:
    """What a fleet recorded, in its order."""
    for line in fleet_lines(path):
        kind = _KINDS.get(line.pop("what"))
        if kind is not None:
            yield kind(**line)
