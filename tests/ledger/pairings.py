"""Changes whose gateway is whose while everything else goes wrong, and records each call."""

import asyncio
import random
import time

from services.api.logic import pairing
from services.api.resources import Resources
from shared.errors import Conflict, MyMoteError, NotFound
from tests.ingest.local_platform import Owner
from tests.ingest.watched_gateways import WatchedGateways
from tests.ledger.records import PairingChange

AGAIN_SECONDS = 0.3
GIVE_UP_SECONDS = 90.0


class Pairings:
    """The accounts' side of pairing. One change of a gateway at a time."""

    def __init__(self, resources: Resources, seed: int) -> None:
        self.changes: list[PairingChange] = []
        self.owners: dict[str, Owner] = {}  # by device id: as the last change left it
        self._resources = resources
        self._chance = random.Random(f"pairings {seed}")
        self._locks: dict[str, asyncio.Lock] = {}
        self._keys: dict[str, str] = {}

    def know(self, device_id: str, device_key: str) -> None:
        """A gateway and the key that its owners enter."""
        self._keys[device_id] = device_key
        self._locks[device_id] = asyncio.Lock()

    async def give(self, device_id: str, *owners: Owner, pause: float = 0.0) -> None:
        """Take a gateway from its owner, wait, and let all these accounts pair it at once.

        Several end with the gateway being one account's; none leaves it nobody's.
        """
        async with self._locks[device_id]:
            owner = self.owners.pop(device_id, None)
            if owner is not None:
                await self._unpair(device_id, owner)
                await asyncio.sleep(pause)
            taken = await asyncio.gather(*(self._pair(device_id, each) for each in owners))
            for each, has_it in zip(owners, taken, strict=True):
                if has_it:
                    self.owners[device_id] = each

    def another(self, device_id: str, among: list[Owner]) -> Owner:
        """An account that does not have the gateway now."""
        now = self.owners.get(device_id)
        return self._chance.choice([each for each in among if each != now])

    async def _pair(self, device_id: str, owner: Owner) -> bool:
        name = f"{device_id[5:11]} of {owner.user_id}"
        request = pairing.PairingRequest(owner.user_id, self._keys[device_id], name)
        change = PairingChange(device_id, owner.user_id, "pair", time.time())
        self.changes.append(change)
        while True:
            try:
                await pairing.pair(self._stores(change), request)
                change.outcome = "paired"
            except MyMoteError as error:
                change.outcome = str(error)
                lost = isinstance(error, Conflict) and await self._is_others(device_id, owner)
                if not lost:
                    await self._again(change)
                    continue
            change.finished = time.time()
            return change.outcome == "paired"

    async def _unpair(self, device_id: str, owner: Owner) -> None:
        change = PairingChange(device_id, owner.user_id, "unpair", time.time())
        self.changes.append(change)
        while True:
            try:
                await pairing.unpair(self._stores(change), owner.user_id, device_id)
            except NotFound:
                change.outcome = "not theirs"
            except MyMoteError as error:
                change.outcome = str(error)
                await self._again(change)
                continue
            else:
                change.outcome = "unpaired"
            change.finished = time.time()
            return

    async def _is_others(self, device_id: str, owner: Owner) -> bool:
        try:
            found = await self._resources.gateways.get(device_id)
        except MyMoteError:
            return False
        last = found[0].pairings[-1] if found and found[0].pairings else None
        return last is not None and last.ended_at is None and last.user_id != owner.user_id

    async def _again(self, change: PairingChange) -> None:
        if time.time() > change.began + GIVE_UP_SECONDS:
            raise TimeoutError(f"{change.what} {change.device_id}: {change.outcome}")
        await asyncio.sleep(AGAIN_SECONDS)

    def _stores(self, change: PairingChange) -> pairing.Stores:
        resources = self._resources
        return pairing.Stores(
            accounts=resources.accounts,
            groups=resources.groups,
            gateways=WatchedGateways(resources.gateways.container, change.written),
            devices=resources.devices,
            hub=resources.hub,
            user_messages=resources.user_messages,
        )
