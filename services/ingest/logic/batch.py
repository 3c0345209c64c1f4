"""Cutting what was received into runs that one transaction can commit. Pure."""

from collections.abc import Iterable, Iterator

from services.ingest.logic.events import COUNTED, Event, RawEvent

# A transactional batch has at most 100 operations: the position and these. A ledger has at most
# about 1 KB (its days are bounded), so the limit of 2 MB is never near.
MAX_LEDGERS = 99


def after(events: Iterable[RawEvent], position: int) -> list[RawEvent]:
    """The events above a position, each once, in order: a stream may be delivered again."""
    fresh = []
    for event in events:
        if event.sequence_number > position:
            position = event.sequence_number
            fresh.append(event)
    return fresh


def runs(events: Iterable[Event], max_ledgers: int = MAX_LEDGERS) -> Iterator[list[Event]]:
    """Contiguous runs of events, each with what is counted of at most `max_ledgers` devices."""
    run: list[Event] = []
    devices: set[str] = set()
    for event in events:
        if isinstance(event.content, COUNTED) and event.device_id not in devices:
            if len(devices) == max_ledgers:
                yield run
                run, devices = [], set()
            devices.add(event.device_id)
        run.append(event)
    if run:
        yield run
