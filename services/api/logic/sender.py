"""Sends what waits in the outboxes, in each device's order.

Whoever sends for a device holds its outbox's claim, so one process does at a time. A claim runs
out by itself: what a killed process left is found by `due` and taken over. A message may then be
sent again under its id, which the gateway drops.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from services.api.documents.user_messages import MessageState, Outbox, UserMessage
from services.api.logic import outbox as rules
from services.api.logic.intervals import is_in_force
from services.api.store.gateways import Gateways
from services.api.store.user_messages import MAX_CHANGES, Changes, Held, UserMessages
from shared.errors import NotFound, TooMany, Unavailable
from shared.iothub import IotHub

log = logging.getLogger(__name__)

AT_ONCE = 8  # devices served by one process; IoT Hub's client has four threads
MAX_TASKS = 200  # devices that a process has taken and not served yet
MARGIN = timedelta(seconds=4)  # of a claim, left to clocks that differ
SEND_SECONDS = 6.0
LEAST_SECONDS = 0.5  # less is not enough to send a message
FAILURES = 3  # of IoT Hub, before this process rests
NOTHING_READY = timedelta(seconds=5)
UNKNOWN_DEVICE = "IoT Hub does not know this gateway; ask the platform's operator to register it."


def utc_now() -> datetime:
    """The clock of outboxes."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class _Sent:
    """What came of some attempts: fields by message id, and why there was no more."""

    fields: Mapping[str, rules.Fields]
    full: bool = False
    failed: bool = False


class Sender:
    """One for each process. `work` keeps it running (services/api/logic/outbox_work.py)."""

    def __init__(
        self,
        messages: UserMessages,
        gateways: Gateways,
        hub: IotHub,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.messages = messages
        self.hub = hub
        self.clock = clock
        self.working = False  # whether what is taken will be served
        self.sent = asyncio.Event()  # feedback will come
        self._gateways = gateways
        self._failures = 0  # of IoT Hub, whatever the device, one after the other
        self._rests_until = 0.0
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, device_id: str) -> asyncio.Lock:
        """Keeps this process's writers of an outbox apart; the ETag keeps those of others."""
        return self._locks.setdefault(device_id, asyncio.Lock())

    def new_claim(self) -> str:
        """A claim that is to be `taken`; "" where this process has enough to do, or cannot."""
        able = self.working and not self.resting and len(self._tasks) < MAX_TASKS
        return uuid.uuid4().hex if able else ""

    @property
    def resting(self) -> bool:
        """Whether IoT Hub failed so often that it is left alone for a while."""
        return time.monotonic() < self._rests_until

    def taken(self, held: Held, ready: Sequence[UserMessage] = ()) -> None:
        """Serve an outbox that was written with a new claim. `ready`: all that waits, if known."""
        task = asyncio.create_task(self._serve_safely(held, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def come(self, device_id: str) -> None:
        """Take and serve an outbox, where it is due and nobody else did."""
        async with self._slots:
            if self.resting:
                return
            held = await self.messages.outbox(device_id)
            now = self.clock()
            if held is None or held.outbox.due is None or held.outbox.due > now.timestamp():
                return
            mine = rules.claimed(held.outbox, uuid.uuid4().hex, now)
            taken = await self.messages.write(held, mine, Changes())
            if taken is not None:
                await self._serve(taken, ())

    async def finish(self, seconds: float) -> None:
        """Let what runs end; what does not is taken over when its claim has run out."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()

    async def _serve_safely(self, held: Held, ready: Sequence[UserMessage]) -> None:
        device_id = held.outbox.device_id
        try:
            async with self._slots:
                await self._serve(held, ready)
        except Unavailable as error:
            log.warning(
                "an outbox waits until its claim runs out",
                extra={"device_id": device_id, "reason": str(error)},
            )
        except Exception:
            log.exception("an outbox could not be served", extra={"device_id": device_id})

    async def _serve(self, held: Held, ready: Sequence[UserMessage]) -> None:
        """Until nothing is to be done now; then the claim is given up. `ready` was just checked."""
        checked = bool(ready)
        now: Held | None = held
        while now is not None and now.outbox.claim:
            if now.outbox.user_id and not checked:
                checked = True
                now = await self._checked(now)
            elif rules.is_overdue(now.outbox, self.clock()):
                now = await self._tidy(now)
            elif not rules.may_send(now.outbox, self.clock()):
                now = await self._release(now)
            else:
                limit = rules.HUB_HOLDS - now.outbox.sent
                batch = ready or await self.messages.to_send(now.outbox, self.clock(), limit)
                ready = ()
                now = await (self._send(now, batch) if batch else self._wait(now))

    async def _checked(self, held: Held) -> Held | None:
        """An unpairing that was interrupted may have left the outbox to its former owner."""
        outbox = held.outbox
        found = await self._gateways.get(outbox.device_id)
        if found and is_in_force(found[0], outbox.user_id, outbox.paired_at):
            return held
        return await self._write(
            held, rules.handed_over(outbox, "", outbox.paired_at, self.clock())
        )

    async def _tidy(self, held: Held) -> Held | None:
        """Settle what time or another pairing has settled."""
        found = await self.messages.all_open(held.outbox.device_id)
        tidied = rules.tidied(held.outbox, found, MAX_CHANGES, self.clock())
        written = await self._write(held, tidied.outbox, Changes(fields=tidied.fields))
        gone = (
            each.state is MessageState.SENT
            and tidied.fields.get(each.id, {}).get("state") is MessageState.CANCELLED
            for each in found
        )
        if any(gone):
            # Others of the device may be dropped with them; feedback says so, and they go again.
            await self.purge(held.outbox.device_id)
        return written

    async def purge(self, device_id: str) -> None:
        """Drop what IoT Hub has for a device, if it knows the device."""
        try:
            await self.hub.purge_messages(device_id)
        except NotFound:
            log.info("IoT Hub does not know the gateway", extra={"device_id": device_id})
        self.sent.set()

    async def _wait(self, held: Held) -> Held | None:
        """What waits may not be sent yet."""
        found = await self.messages.all_open(held.outbox.device_id)
        now = self.clock()
        moments = [each.not_before for each in found if each.not_before is not None]
        retry_at = max(min(moments, default=now), now + NOTHING_READY)
        tidied = rules.tidied(held.outbox, found, 0, now)  # the counts, should they be wrong
        return await self._write(held, tidied.outbox.model_copy(update={"retry_at": retry_at}))

    async def _release(self, held: Held) -> Held | None:
        written = await self.messages.write(
            held, rules.released(held.outbox, self.clock()), Changes()
        )
        return None if written is not None else await self._again(held)

    async def _send(self, held: Held, batch: Sequence[UserMessage]) -> Held | None:
        attempts = await self._attempt(held, batch)
        messages = {each.id: each for each in batch}
        fields = dict(attempts.fields)
        written = await self._written(held, messages, fields, attempts)
        if written is not None:
            return written
        # The outbox changed, but the messages were sent: write that down on what it is now.
        async with self.lock(held.outbox.device_id):
            while True:
                again = await self._again(held)
                if again is None:
                    return None
                messages = await self.messages.some(held.outbox.device_id, list(messages))
                fields = {
                    each.id: attempts.fields[each.id]
                    for each in messages.values()
                    if each.state is MessageState.WAITING and each.id in attempts.fields
                }
                written = await self._written(again, messages, fields, attempts)
                if written is not None:
                    return written
                await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311  others write too

    async def _attempt(self, held: Held, batch: Sequence[UserMessage]) -> _Sent:
        """Give messages to IoT Hub, one after the other, while the claim surely holds."""
        fields: dict[str, rules.Fields] = {}
        until = (held.outbox.claimed_until or self.clock()) - MARGIN
        for message in batch:
            left = (until - self.clock()).total_seconds()
            if left < LEAST_SECONDS:
                break
            now = self.clock()
            try:
                await self.hub.send_message(
                    message.device_id,
                    message.body,
                    message.id,
                    rules.hub_until(message, now),
                    within=min(left, SEND_SECONDS),
                    feedback=True,
                )
            except NotFound:
                fields[message.id] = rules.refused(message, UNKNOWN_DEVICE, self.clock())
                continue
            except TooMany:
                return _Sent(fields, full=True)
            except Unavailable:
                self._failed()
                return _Sent(fields, failed=True)
            fields[message.id] = rules.given(message, now)
            self._failures = 0
            self.sent.set()
        return _Sent(fields)

    def _failed(self) -> None:
        """What waits then costs nothing: others may send it, or this one later."""
        self._failures += 1
        if self._failures >= FAILURES:
            pause = rules.pause_after(self._failures - FAILURES)
            self._rests_until = time.monotonic() + pause.total_seconds()

    async def _written(
        self,
        held: Held,
        messages: Mapping[str, UserMessage],
        fields: Mapping[str, rules.Fields],
        attempts: _Sent,
    ) -> Held | None:
        """Write what was sent, and hold the claim a little longer where more is to be done."""
        now = self.clock()
        failures = held.outbox.failures + 1 if attempts.failed else 0
        retry_at = None
        if attempts.full:
            retry_at = now + rules.HUB_IS_FULL * random.uniform(0.8, 1.2)  # noqa: S311
        elif attempts.failed:
            retry_at = now + rules.pause_after(failures) * random.uniform(0.5, 1)  # noqa: S311
        outbox = held.outbox.model_copy(update={"failures": failures, "retry_at": retry_at})
        changed = rules.changed(outbox, messages, fields, now)
        if rules.may_send(changed.outbox, now) or rules.is_overdue(changed.outbox, now):
            after = rules.claimed(changed.outbox, outbox.claim, now)
        else:
            after = rules.released(changed.outbox, now)
        return await self.messages.write(held, after, Changes(fields=changed.fields))

    async def _write(
        self, held: Held, outbox: Outbox, changes: Changes | None = None
    ) -> Held | None:
        mine = rules.claimed(outbox, held.outbox.claim, self.clock())
        written = await self.messages.write(held, mine, changes or Changes())
        return written if written is not None else await self._again(held)

    async def _again(self, held: Held) -> Held | None:
        """The outbox as it is now; None where somebody else has it."""
        now = await self.messages.outbox(held.outbox.device_id)
        return now if now is not None and now.outbox.claim == held.outbox.claim else None
