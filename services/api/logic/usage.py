"""When each API key was last used, from where, and for which calls.

An owner sees from it who would break before a key is revoked. It is counted in memory and written
every few seconds, so that it costs a call nothing.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from weakref import WeakValueDictionary

from services.api.documents.usage import KeyUse, OperationUse, together
from services.api.store.usage import Usage
from shared.errors import MyMoteError

log = logging.getLogger(__name__)

WRITE_SECONDS = 15.0
LAST_WRITE_SECONDS = 5.0  # when the process stops
AT_ONCE = 8


class UsageLog:
    """The use of keys that this process has seen and not written yet.

    Its size is bounded by the keys that call within `WRITE_SECONDS`: without the database no call
    comes this far.
    """

    def __init__(self, store: Usage) -> None:
        self._store = store
        self._pending: dict[str, KeyUse] = {}
        # While a count moves to the database, nobody adds up what is there and what is here.
        self._moving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def note(self, user_id: str, key_id: str, operation: str, address: str, now: datetime) -> None:
        """One call with a key, from a client's address."""
        use = self._pending.get(key_id)
        if use is None:
            use = KeyUse(id=key_id, user_id=user_id, at=now, address=address)
            self._pending[key_id] = use
        use.at, use.address = now, address
        counted = use.operations.setdefault(operation, OperationUse(at=now, count=0))
        counted.at, counted.count = now, counted.count + 1

    async def of_account(self, user_id: str) -> dict[str, KeyUse]:
        """By key: what is written, with what this process has not written yet."""
        async with self._still(user_id):
            uses = {use.id: use for use in await self._store.of_account(user_id)}
            for use in self._pending.values():
                if use.user_id == user_id:
                    uses[use.id] = together(uses[use.id], use) if use.id in uses else use
        return uses

    async def tidy(self, user_id: str, kept: Collection[str]) -> None:
        """Forget the keys that an account no longer has; what fails, the next call does."""
        try:
            for key_id in (await self.of_account(user_id)).keys() - set(kept):
                self._pending.pop(key_id, None)
                await self._store.delete(user_id, key_id)
        except MyMoteError as error:
            log.warning("the use of revoked API keys is forgotten later: %s", error)

    async def write(self) -> None:
        """Write what was counted; what cannot be written is kept for the next time."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(key_id: str) -> None:
            async with limit:
                await self._write_one(key_id)

        writes = (one(key_id) for key_id in list(self._pending))
        for failure in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def _write_one(self, key_id: str) -> None:
        waiting = self._pending.get(key_id)
        if waiting is None:
            return
        async with self._still(waiting.user_id):
            use = self._pending.pop(key_id, None)
            if use is None:
                return
            written = False
            try:
                await self._store.add(use)
                written = True
            except MyMoteError as error:
                log.warning("the use of an API key is written later: %s", error)
            finally:
                if not written:
                    later = self._pending.get(key_id)
                    self._pending[key_id] = together(use, later) if later else use

    def _still(self, user_id: str) -> asyncio.Lock:
        """Keeps those apart who move an account's counts and who add them up."""
        return self._moving.setdefault(user_id, asyncio.Lock())


@asynccontextmanager
async def writing(usage: UsageLog) -> AsyncIterator[None]:
    """Write every `WRITE_SECONDS`, and once more at the end."""
    task = asyncio.create_task(_write_for_ever(usage))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_WRITE_SECONDS):
                await usage.write()
        except TimeoutError:
            log.warning("the use of API keys in the last seconds is lost")


async def _write_for_ever(usage: UsageLog) -> None:
    while True:
        await asyncio.sleep(WRITE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        try:
            await usage.write()
        except Exception:
            log.exception("the use of API keys was not written")
