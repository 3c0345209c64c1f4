"""What IoT Hub tells about messages it was given, written into the outboxes.

Feedback may come twice, late, never, or before the sender wrote down that it sent. It is
completed only after it was written, so a killed process loses none of it.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from services.api.documents.user_messages import MessageState, UserMessage
from services.api.logic import outbox as rules
from services.api.logic.ids import is_device_id, is_message_id
from services.api.logic.sender import Sender
from services.api.store.user_messages import Changes
from shared.errors import Conflict, Unavailable
from shared.iothub_messages import FeedbackBatch, FeedbackRecord

log = logging.getLogger(__name__)

ATTEMPTS = 20  # under an ETag, before a batch is left to come again
AT_ONCE = 8


async def receive(sender: Sender) -> bool:
    """Take one batch, if there is one; whether there was. Raises Unavailable."""
    batch = await sender.hub.receive_feedback()
    if batch is None:
        return False
    if not await write(sender, batch):
        return True  # it comes again in a minute
    try:
        await sender.hub.complete_feedback(batch)
    except Conflict:
        log.info("feedback was held too long and comes again")
    return True


async def write(sender: Sender, batch: FeedbackBatch) -> bool:
    """Whether all of it is written."""
    by_device: dict[str, list[FeedbackRecord]] = defaultdict(list)
    for record in batch.records:
        # Others may send to gateways too, under ids that our database takes for a path.
        if is_device_id(record.device_id) and is_message_id(record.message_id):
            by_device[record.device_id].append(record)
    slots = asyncio.Semaphore(AT_ONCE)

    async def tell(device_id: str) -> bool:
        async with slots:
            try:
                return await _tell(sender, device_id, by_device[device_id])
            except Exception:
                log.exception(
                    "feedback could not be written and comes again", extra={"device_id": device_id}
                )
                return False

    return all(await asyncio.gather(*map(tell, by_device)))


async def _tell(sender: Sender, device_id: str, records: Sequence[FeedbackRecord]) -> bool:
    """Whether everything is written about one device."""
    async with sender.lock(device_id):
        for _ in range(ATTEMPTS):
            held = await sender.messages.outbox(device_id)
            if held is None:
                return True  # nothing of ours
            messages = await _messages(sender, device_id, records)
            now = sender.clock()
            fields = _fields(messages, records, now)
            early = held.outbox.is_claimed(now) and any(
                record.message_id not in fields and _is_early(messages, record)
                for record in records
            )
            if not fields:
                return not early
            outbox = held.outbox.model_copy(update={"retry_at": None, "failures": 0})
            changed = rules.changed(outbox, messages, fields, now)
            after, claim = changed.outbox, ""
            if not after.is_claimed(now) and rules.may_send(after, now):
                claim = sender.new_claim()
            if claim:
                after = rules.claimed(after, claim, now)
            written = await sender.messages.write(held, after, Changes(fields=changed.fields))
            if written is not None:
                if claim:
                    sender.taken(written)
                return not early
            await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311  others write too
    raise Unavailable("The outbox is being changed by others at the same time.")


async def _messages(
    sender: Sender, device_id: str, records: Sequence[FeedbackRecord]
) -> Mapping[str, UserMessage]:
    """Read after the outbox, so that its ETag vouches for them too."""
    ids = {record.message_id for record in records}
    if len(ids) > 1:
        return await sender.messages.some(device_id, sorted(ids))
    found = await sender.messages.get(device_id, ids.pop())
    return {found.id: found} if found else {}


def _fields(
    messages: Mapping[str, UserMessage], records: Sequence[FeedbackRecord], now: datetime
) -> dict[str, rules.Fields]:
    """What changes, by message id; a message may have several records."""
    fields: dict[str, rules.Fields] = {}
    for record in records:
        message = messages.get(record.message_id)
        if message is None:
            continue
        so_far = message.model_copy(update=dict(fields.get(message.id, {})))
        if news := rules.told(so_far, record.status, now):
            fields[message.id] = {**fields.get(message.id, {}), **news}
    return fields


def _is_early(messages: Mapping[str, UserMessage], record: FeedbackRecord) -> bool:
    """Whether a message was dropped before its sender wrote down that it was sent."""
    message = messages.get(record.message_id)
    return (
        message is not None and message.state is MessageState.WAITING and record.status != "Success"
    )
