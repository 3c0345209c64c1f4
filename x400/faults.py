"""Faults that are switched on to see what becomes of an update."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line knows the faults without a gateway's store and connection
    from x400.store import Store
    from x400.twin import Json

NOTE = "faults"


class Fault(StrEnum):
    """What can go wrong."""

    CUT_DOWNLOAD = "cut-download"  # the connection drops once so many percent are there
    CORRUPT = "corrupt"  # one byte of what was downloaded changes
    FAIL_INSTALL = "fail-install"
    POWER_LOSS = "power-loss"  # in the middle of an installation
    NEVER_ANSWER = "never-answer"  # orders are ignored


ONCE = frozenset({Fault.CUT_DOWNLOAD, Fault.POWER_LOSS})  # unless told otherwise
DEFAULT_CUT = 50  # percent


@dataclass(frozen=True)
class Armed:
    """A fault that is on."""

    times: int | None  # that it still happens; None: until switched off
    at: int = 0  # percent; of CUT_DOWNLOAD only


class Faults:
    """Those that are on, kept in the store: a reset does not mend them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        kept = store.note(NOTE) or {}
        self._armed = {Fault(name): Armed(**values) for name, values in kept.items()}

    def arm(self, fault: Fault, times: int | None = None, at: int | None = None) -> None:
        """Switch a fault on. Without `times`: once, or until switched off, by its nature.

        Raises ValueError with what is wrong, IomoteError.
        """
        if times is not None and times < 1:
            raise ValueError("--times is a number from 1; `off` switches off")
        if at is not None and fault is not Fault.CUT_DOWNLOAD:
            raise ValueError(f"--at is for {Fault.CUT_DOWNLOAD} only")
        if at is not None and not 0 <= at < 100:
            raise ValueError("--at is a percentage from 0 to 99")
        percent = DEFAULT_CUT if at is None and fault is Fault.CUT_DOWNLOAD else at or 0
        armed = Armed(times or (1 if fault in ONCE else None), percent)
        self._keep(self._armed | {fault: armed})

    def clear(self) -> None:
        """Switch all off."""
        self._keep({})

    def armed(self, fault: Fault) -> Armed | None:
        """Whether a fault is on; None if not."""
        return self._armed.get(fault)

    def happens(self, fault: Fault) -> bool:
        """Whether it happens now, which then counts. Raises IomoteError."""
        armed = self._armed.get(fault)
        if armed is None:
            return False
        if armed.times is not None:
            rest = {other: a for other, a in self._armed.items() if other is not fault}
            left = armed.times - 1
            self._keep(rest | {fault: Armed(left, armed.at)} if left else rest)
        return True

    def json(self) -> Json:
        """Those that are on, by name."""
        return {fault.value: {"times": a.times, "at": a.at} for fault, a in self._armed.items()}

    def _keep(self, armed: dict[Fault, Armed]) -> None:
        self._armed = armed
        self._store.set_note(NOTE, self.json())
