"""Makes the faults of a schedule happen to a world, each at its time."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from azure.core.exceptions import AzureError

from tests.ingest.local_platform import Owner
from tests.ledger.faults import CHANGES, Fault, Planned
from tests.ledger.pairings import Pairings
from tests.ledger.world import World

AGAIN_SECONDS = 0.3
WATCH_SECONDS = 0.25
AIM_SECONDS = 3.0


class Driver:
    """Runs a schedule. A process has one fault at a time; the others go on side by side."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self._world = world
        self._say = say
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, schedule: Sequence[Planned]) -> None:
        """Until all faults are over. Raises what a fault could not do."""
        began = time.monotonic()

        async def later(planned: Planned) -> None:
            await asyncio.sleep(planned.at - (time.monotonic() - began))
            await self.make(planned)

        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as tasks:
                for planned in schedule:
                    tasks.create_task(later(planned))
        finally:
            watching.cancel()

    async def make(self, planned: Planned) -> None:
        """One fault, from its beginning to its end."""
        match planned.fault:
            case Fault.KILL:
                await self._kill(planned)
            case Fault.PAUSE:
                await self._pause(planned)
            case Fault.REFUSE:
                await self._refuse(planned)
            case Fault.PAIR_FIRST:
                await self._pair_first(planned)
            case _:
                assert planned.fault in CHANGES
                await self._change(planned)

    async def _kill(self, planned: Planned) -> None:
        process = self._world.stack.processes[planned.target]
        async with self._locks[planned.target]:
            if planned.aimed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._world.readers.arrival(), AIM_SECONDS)
            if process.running:
                await process.kill()
            self._tell(planned)
            await asyncio.sleep(planned.seconds)
            await process.start()

    async def _pause(self, planned: Planned) -> None:
        process = self._world.stack.processes[planned.target]
        async with self._locks[planned.target]:
            process.pause()
            self._tell(planned)
            await asyncio.sleep(planned.seconds)
            process.resume()
            self._world.note("SIGCONT", planned.target)

    async def _refuse(self, planned: Planned) -> None:
        owner = self._world.owners[int(planned.target)]
        async with self._locks[f"queue {planned.target}"]:
            await self._set_status(owner, "Disabled")
            self._tell(planned)
            await asyncio.sleep(planned.seconds)
            await self._set_status(owner, "Active")
            self._world.note("queue enabled", owner.user_id)

    async def _pair_first(self, planned: Planned) -> None:
        """Once there is something to hand over; a slow machine's fleet begins late."""
        device_id = self._device(planned)
        while not self._world.has_message(device_id):
            if not self._world.sends(device_id):
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self._tell(planned)
        await self._pairings.give(device_id, self._another(device_id))

    async def _change(self, planned: Planned) -> None:
        device_id = self._device(planned)
        self._tell(planned)
        now = self._pairings.owners.get(device_id)
        if now is None and planned.fault is Fault.UNPAIR:
            return
        others: list[Owner] = []
        match planned.fault:
            case Fault.PAIR_AGAIN:
                others = [now or self._another(device_id)]
            case Fault.PAIR_OTHER:
                others = [self._another(device_id)]
            case Fault.PAIR_TWO:
                others = [self._another(device_id)]
                others += [self._pairings.another(device_id, self._except(others[0]))]
        await self._pairings.give(device_id, *others, pause=planned.seconds)

    async def _set_status(self, owner: Owner, status: str) -> None:
        azure = self._world.platform.resources.azure
        admin = azure.service_bus_administration("local")
        queue = f"user-{owner.user_id}"

        async def change() -> None:
            properties = await admin.get_queue(queue)
            properties.status = status
            await admin.update_queue(properties)

        await _until_it_works(change)

    async def _watch(self) -> None:
        """A process that ends without being killed is a violation; it is started again."""
        processes = self._world.stack.processes
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for name, process in processes.items():
                if not process.running and not self._locks[name].locked():
                    self._world.unsettled.append(f"{name} ended by itself")
                    await process.start()

    def _tell(self, planned: Planned) -> None:
        self._world.note(planned.fault.value, planned.target)
        self._say(str(planned))

    def _device(self, planned: Planned) -> str:
        return self._world.gateways[int(planned.target)].device_id

    def _another(self, device_id: str) -> Owner:
        return self._pairings.another(device_id, self._world.owners)

    def _except(self, owner: Owner) -> list[Owner]:
        return [each for each in self._world.owners if each != owner]

    @property
    def _pairings(self) -> Pairings:
        return self._world.pairings


async def _until_it_works(attempt: Callable[[], Awaitable[None]]) -> None:
    """The local Azure may be down just now."""
    while True:
        try:
            await attempt()
        except (AzureError, OSError):
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return
