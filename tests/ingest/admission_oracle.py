"""What has to become of every message, said as simply as the design says it.

It keeps whole histories and looks them up; it shares no code with what it judges.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shared.schemas.documents import Gateway


@dataclass(frozen=True)
class Sent:
    """A message as a gateway sent it and the hub took it."""

    sequence_number: int
    device_id: str
    # data, notification, management or garbage; or the hub's own: connected, disconnected
    kind: str
    mid: int | None
    taken: datetime
    stored: timedelta | None  # before or after `taken`, by the gateway's clock; None: not said

    @property
    def text(self) -> str:
        """Its body: a repeated publish has the same."""
        return f"{self.kind} {self.sequence_number if self.mid is None else f'mid {self.mid}'}"


@dataclass
class _Device:
    highest_mid: int = -1
    charged_day: date = date.min
    charged: Counter[tuple[date, str]] = field(default_factory=Counter)
    parking_day: date = date.min
    parked: Counter[date] = field(default_factory=Counter)
    connection: str = ""
    connection_day: date = date.min
    connections: Counter[tuple[date, str]] = field(default_factory=Counter)  # day, pairing
    newest_pairing: int = -1  # of which something was counted
    counted: list[tuple[int, date, int]] = field(default_factory=list)  # pairing, day, bytes


class Oracle:
    """Takes messages in the order of the stream."""

    def __init__(
        self, gateways: Sequence[Gateway], quota: int, parked_per_day: int, connections: int
    ) -> None:
        self._gateways = {each.device_id: each for each in gateways}
        self._quota = quota  # of data, and of notifications
        self._parked_per_day = parked_per_day
        self._connections = connections  # entries of a day
        self.devices: defaultdict[str, _Device] = defaultdict(_Device)
        self.queues: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.notifications: set[tuple[str, str, str]] = set()  # user, device, text
        self.warnings: set[tuple[str, str, date]] = set()
        self.timeline: set[tuple[str, str, str]] = set()
        self.connections: Counter[tuple[str, str, str, datetime]] = Counter()
        self.parked: set[tuple[str, str, str, str]] = set()  # holder, device, reason, text
        self.dropped = 0

    def take(self, sent: Sent) -> None:
        device = self.devices[sent.device_id]
        if sent.kind in ("connected", "disconnected"):
            self._connection(sent, device)
            return
        if sent.mid is not None and sent.mid <= device.highest_mid:
            return
        if sent.mid is not None:
            device.highest_mid = sent.mid
        pairings = self._gateways[sent.device_id].pairings
        owners = [
            number
            for number, each in enumerate(pairings)
            if each.started_at <= sent.taken and (not each.ended_at or sent.taken < each.ended_at)
        ]
        had_before = [each for each in pairings if each.started_at <= sent.taken]
        if owners and self._stored_before(sent, pairings[owners[0]].started_at):
            return
        if had_before and not owners:
            return
        owner = owners[0] if owners else None
        user = pairings[owner].user_id if owner is not None else None
        if sent.kind == "garbage":
            self._park(sent, device, user, "malformed")
        elif sent.kind == "management":
            if user is not None:
                self.timeline.add((user, sent.device_id, sent.text))
        else:
            self._charge(sent, device, owner)

    def _connection(self, sent: Sent, device: _Device) -> None:
        pairings = self._gateways[sent.device_id].pairings
        if sent.kind == device.connection or all(p.started_at > sent.taken for p in pairings):
            return
        device.connection = sent.kind
        day = device.connection_day = max(device.connection_day, sent.taken.date())
        for each in pairings:
            if each.started_at <= sent.taken and (not each.ended_at or sent.taken < each.ended_at):
                device.connections[day, each.owner] += 1
                if device.connections[day, each.owner] <= self._connections:
                    self.connections[each.user_id, sent.device_id, sent.kind, sent.taken] += 1
                elif device.connections[day, each.owner] == self._connections + 1:
                    self.timeline.add((each.user_id, sent.device_id, f"flapping {day}"))

    def _charge(self, sent: Sent, device: _Device, owner: int | None) -> None:
        pairings = self._gateways[sent.device_id].pairings
        day = device.charged_day = max(device.charged_day, self._created(sent).date())
        if device.charged[day, sent.kind] == self._quota:
            user = pairings[owner].user_id if owner is not None else None
            if owner is not None and owner >= device.newest_pairing:
                device.newest_pairing = owner
                self.warnings.add((pairings[owner].user_id, sent.device_id, day))
                entry = (pairings[owner].user_id, sent.device_id, f"over_quota {day}")
                self.timeline.add(entry)
            self._park(sent, device, user, "over_quota")
            return
        device.charged[day, sent.kind] += 1
        if not pairings:
            self.parked.add((sent.device_id, sent.device_id, "no_owner", sent.text))
            return
        owner = owner or 0  # what nobody had paired yet is for the first owner
        user = pairings[owner].user_id
        if sent.kind == "data":
            self.queues[user, sent.device_id].append(sent.text)
        else:
            self.notifications.add((user, sent.device_id, sent.text))
        if owner >= device.newest_pairing:
            device.newest_pairing = owner
            device.counted.append((owner, sent.taken.date(), len(sent.text)))

    def _park(self, sent: Sent, device: _Device, user: str | None, reason: str) -> None:
        day = device.parking_day = max(device.parking_day, sent.taken.date())
        device.parked[day] += 1
        if device.parked[day] <= self._parked_per_day:
            self.parked.add((user or sent.device_id, sent.device_id, reason, sent.text))
            return
        self.dropped += 1
        if device.parked[day] == self._parked_per_day + 1 and user is not None:
            self.timeline.add((user, sent.device_id, f"parking_limit {day}"))

    def statistics(self, device_id: str) -> tuple[int, int, dict[date, tuple[int, int]]]:
        """Messages and bytes of the newest pairing, in all and for each of its last eight days."""
        device = self.devices[device_id]
        mine = [(day, size) for n, day, size in device.counted if n == device.newest_pairing]
        newest = max((day for day, _ in mine), default=date.min)
        days = {
            day: (sum(each == day for each, _ in mine), sum(s for each, s in mine if each == day))
            for day, _ in mine
            if newest - day <= timedelta(days=7)
        }
        return len(mine), sum(size for _, size in mine), days

    def _created(self, sent: Sent) -> datetime:
        """When the gateway stored it, where its clock can be believed."""
        if sent.stored is None or not timedelta(-30) <= sent.stored <= timedelta(minutes=5):
            return sent.taken
        return sent.taken + sent.stored

    def _stored_before(self, sent: Sent, start: datetime) -> bool:
        """Stored before the pairing, unless the clock shows a time before the gateway was made."""
        if sent.stored is None:
            return False
        claimed = sent.taken + sent.stored
        return self._gateways[sent.device_id].manufactured_at <= claimed < start
