"""What must have become of every message: design.md read once more, with none of ingest's code.

It goes through the event stream as it lies there, device by device, with the pairing documents
as they ended up. Whatever ingest had to live through on its way must not show.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from shared.schemas.documents import Gateway, Pairing
from shared.schemas.messages import MAX_DATA_BYTES, MAX_NOTIFICATION_BYTES
from tests.ledger.ownership import Boundary, Nobody, created_at, first_owner, views
from tests.ledger.records import Key, StreamEvent

KINDS = {"data", "notification", "management"}
LEVELS = {"1", "2", "3"}


@dataclass(frozen=True)
class Rules:
    """Messages of a gateway for each UTC day."""

    data: int = 100
    notifications: int = 100
    parked: int = 100  # malformed or above the quota; what is more is dropped


@dataclass(frozen=True)
class Verdict:
    """What must become of a message."""

    # "queue", "notification", "timeline", or "parked" or "dropped" with why, or "nobody's"
    what: str
    user_id: str | None
    pairing: Pairing | None
    event: StreamEvent  # its first occurrence in the stream


@dataclass
class Count:
    """What was accepted of a gateway in one pairing, by the day the hub took it."""

    messages: int = 0
    bytes: int = 0
    days: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, day: date, size: int) -> None:
        messages, total = self.days.get(day, (0, 0))
        self.days[day] = (messages + 1, total + size)
        self.messages += 1
        self.bytes += size


@dataclass
class Charged:
    """The quota: messages charged to one UTC day of creation."""

    day: date
    data: int = 0
    notification: int = 0


@dataclass
class Expected:
    """The verdicts in the stream's order, and all that follows from them."""

    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    occurrences: dict[Key, list[StreamEvent]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, dict[str, Count]] = field(default_factory=lambda: defaultdict(dict))
    charged: dict[str, Charged] = field(default_factory=dict)  # by device
    warnings: set[tuple[str, str, date]] = field(default_factory=set)  # user, device, day
    handed_over: int = 0  # to the first owner, who came later
    unsure: int = 0  # taken by the hub while their pairing was being written


def expect(
    stream: Sequence[StreamEvent],
    gateways: Mapping[str, Gateway],
    rules: Rules,
    boundaries: Mapping[str, Sequence[Boundary]],
    seen: Mapping[Key, str],
) -> Expected:
    """The verdicts on a whole stream.

    `seen` says with which account a message was found; it is asked only where the pairing was
    being written when the hub took it.
    """
    expected = Expected()
    judges: dict[str, _Judge] = {}
    for event in stream:
        if event.source != "Telemetry":
            continue
        expected.occurrences[event.key].append(event)
        device_id = event.device_id
        if device_id not in judges:
            judges[device_id] = _Judge(
                expected, gateways[device_id], rules, boundaries.get(device_id, ()), seen
            )
        judges[device_id].judge(event)
    return expected


class _Judge:
    """One gateway's messages, in the order of the stream."""

    def __init__(
        self,
        expected: Expected,
        gateway: Gateway,
        rules: Rules,
        boundaries: Sequence[Boundary],
        seen: Mapping[Key, str],
    ) -> None:
        self._expected = expected
        self._gateway = gateway
        self._rules = rules
        self._boundaries = boundaries
        self._seen = seen
        self._highest_mid = -1
        self._parked_day = date.min
        self._parked = 0

    def judge(self, event: StreamEvent) -> None:
        mid = int(event.mid)
        if mid <= self._highest_mid:
            return  # a repetition
        self._highest_mid = mid
        pairing = self._owner(event)
        what = self._what(event, pairing)
        given = first_owner(self._gateway) if pairing is Nobody.NEVER_PAIRED else pairing
        whose = given if isinstance(given, Pairing) and what in _DELIVERED else None
        if what == "parked no_owner" and isinstance(given, Pairing):
            what, whose = _delivered_as(event), given  # its first owner has it by now
            self._expected.handed_over += 1
        if what in ("queue", "notification") and whose is not None:
            counts = self._expected.counts[event.device_id]
            count = counts.setdefault(whose.owner, Count())
            count.add(event.enqueued_at.date(), len(event.body))
        user_id = whose.user_id if whose else None
        if user_id is None and isinstance(pairing, Pairing):
            user_id = pairing.user_id
        self._expected.verdicts[event.key] = Verdict(what, user_id, whose, event)

    def _what(self, event: StreamEvent, pairing: Pairing | Nobody) -> str:
        if pairing in (Nobody.BETWEEN, Nobody.BEFORE):
            return "nobody's"
        if why := malformed(event):
            return self._park(event, f"malformed: {why}")
        kind = _kind(event)
        if kind == "management":
            return "timeline" if isinstance(pairing, Pairing) else "nobody's"
        if not self._charge(event, kind):
            if isinstance(pairing, Pairing):
                day = self._expected.charged[event.device_id].day
                self._expected.warnings.add((pairing.user_id, event.device_id, day))
            return self._park(event, "over_quota")
        return _delivered_as(event) if isinstance(pairing, Pairing) else "parked no_owner"

    def _owner(self, event: StreamEvent) -> Pairing | Nobody:
        possible = views(self._gateway, self._boundaries, event)
        if len(possible) == 1:
            return possible[0]
        self._expected.unsure += 1
        found = self._seen.get(event.key)
        for view in possible:
            given = first_owner(self._gateway) if view is Nobody.NEVER_PAIRED else view
            if found == (given.user_id if isinstance(given, Pairing) else None):
                return view
        if found is None and Nobody.NEVER_PAIRED in possible:
            # Its first owner is given the well-formed within the quota, and nothing else.
            return Nobody.NEVER_PAIRED
        return possible[0]

    def _charge(self, event: StreamEvent, kind: str) -> bool:
        """Whether the quota takes it. The charged day never goes back."""
        day = created_at(event).date()
        charged = self._expected.charged.get(event.device_id)
        if charged is None or charged.day < day:
            charged = self._expected.charged[event.device_id] = Charged(day)
        if kind == "data":
            if charged.data >= self._rules.data:
                return False
            charged.data += 1
        else:
            if charged.notification >= self._rules.notifications:
                return False
            charged.notification += 1
        return True

    def _park(self, event: StreamEvent, why: str) -> str:
        """The cap of what is parked of a gateway on one day, the hub's."""
        day = event.enqueued_at.date()
        if day > self._parked_day:
            self._parked_day, self._parked = day, 0
        if self._parked >= self._rules.parked:
            return f"dropped {why}"
        self._parked += 1
        return f"parked {why}"


_DELIVERED = ("queue", "notification", "timeline")


def malformed(event: StreamEvent) -> str:
    """The rule of design.md, "Messages", that a message breaks; "" for none."""
    kind = _kind(event)
    if kind not in KINDS:
        return "no such type"
    if kind == "data":
        return "" if 0 < len(event.body) <= MAX_DATA_BYTES else "size of data"
    if kind == "notification":
        if len(event.body) > MAX_NOTIFICATION_BYTES or event.properties.get("level") not in LEVELS:
            return "size or level of a notification"
        try:
            event.body.decode()
        except UnicodeDecodeError:
            return "text of a notification"
        return ""
    try:
        return "" if "event" in json.loads(event.body) else "no event"
    except ValueError:
        return "no JSON"


def _kind(event: StreamEvent) -> str:
    return event.properties.get("type", "data")


def _delivered_as(event: StreamEvent) -> str:
    return "queue" if _kind(event) == "data" else "notification"


def iso(moment: datetime) -> str:
    """As the application property iothub-creation-time-utc has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
