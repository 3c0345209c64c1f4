"""Notices that events are not what they should be by a fault of our own. Pure.

One customer's gateways may send whatever they like, it is parked and stops nobody. Where most
gateways of several accounts at once send what cannot be understood, it is most likely we who
understand nothing: then it is better to stop than to drain the stream into the parking place.
Nor can a gateway make events without the annotations of IoT Hub: only a wrong route does.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.ingest.logic.decode import UNANNOTATED
from services.ingest.logic.events import Event, Ignored, Malformed, Message
from services.ingest.logic.ownership import pairing_at
from services.ingest.logic.plan import Known

WINDOW_SECONDS = 60.0
WINDOW_DEVICES = 1000

CODE = (
    "look at what is parked (mymote-operator parked list), mend ingest, and restart it; if the "
    "gateways really send that, restart it with MYMOTE_INGEST_GARBAGE_ACCOUNTS above the number "
    "of accounts"
)
ROUTE = (
    "mend the route from IoT Hub to the event hub, and restart ingest; to pass over such events, "
    "which nobody can deliver, restart it with MYMOTE_INGEST_UNANNOTATED_EVENTS above their number"
)


class TooMuchGarbage(Exception):
    """Why it is better to stop, and what to do then, in sentences."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Latest:
    seen_at: float
    user_id: str
    broken: str | None  # the rule that the device's latest message broke


class GarbageWatch:
    """Watches the telemetry of one process.

    It keeps the latest message of each device: those of the last 60 s, at most of 1,000 devices.
    So one device counts once, however much it sends. A device that nobody owns does not count.
    """

    def __init__(
        self, accounts: int, unannotated: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`accounts` is how many of them have to be bad, at least; `clock` counts seconds.

        `unannotated` is how many events in a row without annotations are too many.
        """
        self._accounts = accounts
        self._unannotated = unannotated
        self._in_a_row = 0
        self._clock = clock
        self._latest: OrderedDict[str, _Latest] = OrderedDict()  # by device_id, oldest first

    def check(self, events: Sequence[Event], known: Known) -> None:
        """Take a run of events into account.

        Raises TooMuchGarbage where most devices of at least so many accounts, and of more than
        half of the accounts seen, are bad: where the latest message is malformed. Also after so
        many events in a row, of whatever partitions, without annotations.
        """
        self._count(events)
        now = self._clock()
        worsened = False
        for event in events:
            worsened |= self._take(event, known, now)
        self._forget(now)
        if worsened:
            self._judge()

    def _count(self, events: Sequence[Event]) -> None:
        for event in events:
            bare = isinstance(event.content, Ignored) and event.content.reason == UNANNOTATED
            self._in_a_row = self._in_a_row + 1 if bare else 0
            if self._in_a_row >= self._unannotated:
                raise TooMuchGarbage(
                    f"{self._in_a_row} events in a row have no annotations of IoT Hub", ROUTE
                )

    def _take(self, event: Event, known: Known, now: float) -> bool:
        """Whether the event is a bad message."""
        if not isinstance(event.content, Message):
            return False
        pairing = pairing_at(known.gateways.get(event.device_id), event.enqueued_at)
        if pairing is None:
            return False
        content = event.content.content
        broken = content.reason if isinstance(content, Malformed) else None
        self._latest[event.device_id] = _Latest(now, pairing.user_id, broken)
        self._latest.move_to_end(event.device_id)
        return broken is not None

    def _forget(self, now: float) -> None:
        while self._latest:
            oldest = next(iter(self._latest))
            recent = self._latest[oldest].seen_at > now - WINDOW_SECONDS
            if recent and len(self._latest) <= WINDOW_DEVICES:
                return
            del self._latest[oldest]

    def _judge(self) -> None:
        devices: dict[str, list[bool]] = {}
        for each in self._latest.values():
            devices.setdefault(each.user_id, []).append(each.broken is not None)
        bad = sum(2 * sum(broken) > len(broken) for broken in devices.values())
        if bad < self._accounts or 2 * bad <= len(devices):
            return
        example = next(each.broken for each in reversed(self._latest.values()) if each.broken)
        raise TooMuchGarbage(
            f"the latest messages of most gateways of {bad} of {len(devices)} accounts "
            f"are malformed; the last one: {example}",
            CODE,
        )
