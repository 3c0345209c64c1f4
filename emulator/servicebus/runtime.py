"""What every queue of the namespace runs on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.servicebus.scheduler import Scheduler
from emulator.store import Store

# Adds application properties to an encoded message.
Amend = Callable[[bytes, Mapping[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the timer and how a stored message is amended."""

    store: Store
    scheduler: Scheduler
    amend: Amend
