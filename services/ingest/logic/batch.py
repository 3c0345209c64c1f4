"""Cutting what was received into runs that one transaction can commit. Pure."""

from collections.abc import Iterable, Iterator

from services.ingest.logic.events import Event, Malformed, Message, RawEvent

# A transactional batch has at most 100 operations: the position and these. A ledger has at most
# about 1 KB (its days are bounded), so the limit of 2 MB is never near.
MAX_LEDGERS = 99


class TooMuchGarbage(Exception):
    """Malformed messages in a row from many gateways: most likely our own fault."""


class GarbageWatch:
    """Counts malformed messages in a row, so that a fault of ours stops ingest (design.md).

    One gateway's garbage never does: it takes `devices` different ones.
    """

    def __init__(self, messages: int, devices: int) -> None:
        self._messages = messages
        self._devices = devices
        self._in_a_row = 0
        self._seen: set[str] = set()

    def check(self, events: Iterable[Event]) -> None:
        """Raises TooMuchGarbage."""
        for event in events:
            if not isinstance(event.content, Message):
                continue
            if not isinstance(event.content.content, Malformed):
                self._in_a_row = 0
                self._seen.clear()
                continue
            self._in_a_row += 1
            if len(self._seen) < self._devices:
                self._seen.add(event.device_id)
            if self._in_a_row >= self._messages and len(self._seen) >= self._devices:
                raise TooMuchGarbage(
                    f"{self._in_a_row} malformed messages in a row, the last one of "
                    f"{event.device_id}: {event.content.content.reason}"
                )


def after(events: Iterable[RawEvent], position: int) -> list[RawEvent]:
    """The events above a position, each once, in order: a stream may be delivered again."""
    fresh = []
    for event in events:
        if event.sequence_number > position:
            position = event.sequence_number
            fresh.append(event)
    return fresh


def runs(events: Iterable[Event], max_ledgers: int = MAX_LEDGERS) -> Iterator[list[Event]]:
    """Contiguous runs of events, each with messages of at most `max_ledgers` devices."""
    run: list[Event] = []
    devices: set[str] = set()
    for event in events:
        if isinstance(event.content, Message) and event.device_id not in devices:
            if len(devices) == max_ledgers:
                yield run
                run, devices = [], set()
            devices.add(event.device_id)
        run.append(event)
    if run:
        yield run
