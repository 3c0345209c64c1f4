"""Orders that are carried out once, however often they are sent (docs/adr/0013)."""

import asyncio
import hashlib
import json
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.documents.idempotency import IdempotencyRecord
from services.api.store.idempotency import Idempotency
from shared.errors import Conflict, MyMoteError

log = logging.getLogger(__name__)

# A claim that was not renewed for so long belongs to a process that died.
TAKEOVER = timedelta(seconds=60)
RENEWAL_SECONDS = 20.0
ATTEMPTS = 3


class StillRunning(Conflict):
    """The same order is being carried out right now: 409, and trying again helps."""

    retry_after = 1


@dataclass
class Claim:
    """The right to carry out an order, until `finish` or `give_up`."""

    store: Idempotency
    record: IdempotencyRecord
    etag: str

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renewed meanwhile, so that a long order is not taken over."""
        over = asyncio.Event()
        renewing = asyncio.create_task(self._renew(over))
        try:
            yield
        finally:
            over.set()
            # Not cut off: what a renewal has written is what `finish` builds on.
            await asyncio.wait([renewing])

    async def finish(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        """Keep the reply for those who ask again."""
        await self._put(state="done", status=status, body=body, headers=dict(headers))

    async def give_up(self, *, refused: bool) -> None:
        """Refused: as if nothing was asked. Failed: whoever asks again goes on with the order."""
        if refused:
            await self.store.delete(self.record, self.etag)
        else:
            await self._put(state="failed")

    async def _renew(self, over: asyncio.Event) -> None:
        while not await _set_within(over, RENEWAL_SECONDS):
            try:
                await self._put(claimed_at=datetime.now(UTC))
            except MyMoteError as error:
                log.warning("an order's claim is not renewed", extra={"error": str(error)})

    async def _put(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)
        etag = await self.store.replace(self.record, self.etag)
        if etag is None:
            log.warning("an order was taken over by another process while it ran")
            return
        self.etag = etag


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def fingerprint_of(parts: object, body: bytes) -> str:
    """A hash of a request; `parts` is whatever of it is JSON."""
    text = json.dumps(parts, sort_keys=True).encode()
    return hashlib.sha256(hashlib.sha256(text).digest() + body).hexdigest()


async def claim(
    store: Idempotency, *, user_id: str, operation: str, key: str, fingerprint: str
) -> Claim | IdempotencyRecord:
    """The right to carry out an order, or the record of the one that was carried out.

    Raises Conflict (the key was used for another request), StillRunning, Unavailable.
    """
    wanted = IdempotencyRecord(
        id=hashlib.sha256(json.dumps([operation, key]).encode()).hexdigest(),
        user_id=user_id,
        fingerprint=fingerprint,
        order_id=str(uuid.uuid4()),
        claimed_at=datetime.now(UTC),
    )
    for _ in range(ATTEMPTS):
        etag = await store.create(wanted)
        if etag is not None:
            return Claim(store, wanted, etag)
        found = await store.get(user_id, wanted.id)
        if found is None:  # refused in between, or expired
            continue
        record, etag = found
        if record.state == "done" or record.fingerprint != fingerprint:
            return _answered(record, fingerprint)
        if record.state == "running" and datetime.now(UTC) - record.claimed_at < TAKEOVER:
            break
        ours = record.model_copy(update={"state": "running", "claimed_at": datetime.now(UTC)})
        etag = await store.replace(ours, etag)
        if etag is not None:
            return Claim(store, ours, etag)
    raise StillRunning("This very order is being carried out; ask again in a second.")


def _answered(record: IdempotencyRecord, fingerprint: str) -> IdempotencyRecord:
    if record.fingerprint != fingerprint:
        raise Conflict(
            "This Idempotency-Key was sent with another request before; take a new one for each "
            "order."
        )
    return record
