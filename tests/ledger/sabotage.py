"""Ingest with a bug put in on purpose: `python -m tests.ledger.sabotage BUG GATE`.

What finds these bugs finds others: each is one that a careless change could bring.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.ingest.__main__ import main
from services.ingest.logic import accounting
from services.ingest.logic.outlets import Outlets
from services.ingest.logic.partition import Partition
from services.ingest.logic.plan import Known, Plan
from services.ingest.store import ledgers
from shared.schemas.documents import Ledger, Position, Redelivery


def position_first() -> None:
    """Commit the position, and only then send to the queues: once the file GATE is there."""
    late: dict[Partition, Callable[[], Awaitable[object]]] = {}
    do, commit = Outlets.do, Partition.commit

    async def do_all_but_send(
        self: Outlets, partition: Partition, plan: Plan, known: Known, *, asked: bool = False
    ) -> dict[str, int]:
        sends, plan.sends = plan.sends, {}
        held = await do(self, partition, plan, known, asked=asked)
        if sends:
            late[partition] = lambda: self.held.deliver(partition, sends, known, asked=asked)
        return held

    async def commit_and_send(
        self: Partition,
        position: Position,
        ledgers: Mapping[str, Ledger] | None = None,
        orders: Sequence[Redelivery] = (),
    ) -> None:
        await commit(self, position, ledgers, orders)
        if self in late:
            await asyncio.to_thread(_wait_for, Path(sys.argv[2]))
            await late.pop(self)()

    Outlets.do = do_all_but_send  # type: ignore[method-assign]
    Partition.commit = commit_and_send  # type: ignore[method-assign]


def mid_check_off() -> None:
    """Take a message whose mid is not above the highest one for a new one."""

    def never(ledger: Ledger, number: int | None) -> bool:
        return False

    accounting.is_repetition = never


def etag_check_off() -> None:
    """Write the position whatever another process made of it meanwhile."""
    operations = ledgers._operations

    def unconditional(
        etag: str,
        position: Position,
        ledgers: Mapping[str, Ledger],
        orders: Sequence[Redelivery],
    ) -> list[Any]:
        effects = operations(etag, position, ledgers, orders)[1:]
        return [("upsert", (position.model_dump(mode="json"),)), *effects]

    ledgers._operations = unconditional


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)


BUGS = {bug.__name__: bug for bug in (position_first, mid_check_off, etag_check_off)}

if __name__ == "__main__":
    BUGS[sys.argv[1]]()
    main()
