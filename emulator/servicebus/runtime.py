"""What every queue of the namespace runs on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.servicebus.scheduler import Scheduler
from emulator.servicebus.settings import MEBIBYTE
from emulator.store import Store

# Adds application properties to an encoded message.
Amend = Callable[[bytes, Mapping[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the timer, how a stored message is amended, and a queue's unit of size."""

    store: Store
    scheduler: Scheduler
    amend: Amend
    megabyte: int = MEBIBYTE
