"""A queue: what senders talk to. Its settings, its messages and its dead-letter queue."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from emulator.amqp.node import AmqpError, IncomingLink
from emulator.servicebus import errors
from emulator.servicebus.entity import Entity
from emulator.servicebus.iso8601 import FOREVER_MS
from emulator.servicebus.log import MessageLog, Row, State
from emulator.servicebus.runtime import Runtime
from emulator.servicebus.settings import AccessRule, QueueSettings, rules_from_json

# What Azure adds to a message counts against the queue's size, too.
OVERHEAD_BYTES = 128

DEAD_LETTER_SUFFIX = "/$DeadLetterQueue"

_REMEMBER = (
    "INSERT INTO sb_history (queue, message_id, until) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET until = excluded.until WHERE until <= ?"
)


class NewMessage(NamedTuple):
    """A message as it is sent."""

    payload: bytes
    message_id: str | None = None
    ttl: int | None = None  # milliseconds
    scheduled_at: int | None = None  # Unix milliseconds


class QueueRecord(NamedTuple):
    """A queue's row in the store; settings and rules are JSON."""

    id: int
    name: str
    settings: str
    rules: str


class Queue:
    """One queue of the namespace."""

    def __init__(
        self,
        runtime: Runtime,
        record: QueueRecord,
        watch_due: Callable[[int], None],
    ) -> None:
        self.id = record.id
        self.name = record.name
        self.settings = QueueSettings.from_json(record.settings)
        self.rules = rules_from_json(record.rules)
        self._store = runtime.store
        self._scheduler = runtime.scheduler
        self._watch_due = watch_due
        self._megabyte = runtime.megabyte
        self._deleted = False
        self._senders: set[IncomingLink] = set()
        own, dead = (self._open_log(entity) for entity in self.entity_ids)
        self.dead_letter = Entity(runtime, dead, self.settings, None)
        self.active = Entity(runtime, own, self.settings, self.dead_letter)

    @property
    def entity_ids(self) -> tuple[int, int]:
        return 2 * self.id, 2 * self.id + 1

    @property
    def size(self) -> int:
        """Bytes, the dead-letter queue's included."""
        return self.active.log.totals[3] + self.dead_letter.log.totals[3]

    def send(self, messages: Sequence[NewMessage]) -> list[int]:
        """Store messages, all or none; returns their sequence numbers.

        A duplicate within the window is taken and dropped; its number belongs to no message.
        Raises AmqpError: the queue does not send, is deleted or full.
        """
        self.check_sends()
        limit = self.settings.max_size_mb * self._megabyte
        if self.size >= limit:  # as in Azure, the message that reaches the limit is taken
            raise errors.quota_exceeded(self.name, self.size, limit)
        now = self._scheduler.clock()
        log = self.active.log
        numbered = [(log.next_sequence(), message) for message in messages]
        rows: list[Row] = []
        due: list[int | None] = []
        for sequence, message in self._without_duplicates(numbered, now):
            row = self._row(sequence, message, now)
            rows.append(row)
            due.append(message.scheduled_at if row.state == State.SCHEDULED else row.expires_at)
        log.append(rows, due, now)
        times = [when for when in due if when is not None]
        if times:
            self._watch_due(min(times))
        return [sequence for sequence, _ in numbered]

    def cancel_scheduled(self, sequences: Sequence[int]) -> None:
        """Remove scheduled messages; all of them or, with AmqpError, none."""
        log = self.active.log
        rows = [log.get(sequence) for sequence in dict.fromkeys(sequences)]
        scheduled = [row for row in rows if row is not None and row.state == State.SCHEDULED]
        if len(scheduled) < len(rows):
            raise errors.message_not_found()
        log.delete((row.sequence, row.state, row.size) for row in scheduled)

    def admit(self, link: IncomingLink) -> None:
        """A link to send on, until it leaves or is turned away. Raises AmqpError."""
        self.check_sends()
        self._senders.add(link)

    def leave(self, link: IncomingLink) -> None:
        """A link to send on is gone."""
        self._senders.discard(link)

    def check_sends(self) -> None:
        """Raises AmqpError where the queue is deleted or its status forbids sending."""
        if self._deleted:
            raise errors.entity_not_found(self.name)
        if not self.settings.status.sends:
            raise errors.entity_disabled(self.name, "send")

    def check_receives(self) -> None:
        """Raises AmqpError where the status forbids receiving."""
        if not self.settings.status.receives:
            raise errors.entity_disabled(self.name, "receive")

    def change(self, settings: QueueSettings, rules: tuple[AccessRule, ...]) -> None:
        """Take new settings and rules; links that a new status forbids are turned away.

        Azure tells them `detach-forced`; what is wrong they hear when they attach again.
        """
        window = settings.duplicate_window - self.settings.duplicate_window
        if window:
            self._store.write(
                "UPDATE sb_history SET until = until + ? WHERE queue = ?", (window, self.id)
            )
        self.settings = self.active.settings = self.dead_letter.settings = settings
        self.rules = rules
        changed = errors.entity_changed(self.name)
        if not settings.status.sends:
            self._refuse_senders(changed)
        if not settings.status.receives:
            for entity in (self.active, self.dead_letter):
                entity.log.refuse_listeners(changed)

    def close(self) -> None:
        """The queue was deleted: locks are lost, links turned away."""
        self._deleted = True
        self._refuse_senders(errors.entity_not_found(self.name))
        for entity in (self.active, self.dead_letter):
            entity.forget()
            entity.log.refuse_listeners(errors.entity_not_found(self.name))

    def _refuse_senders(self, error: AmqpError) -> None:
        for link in tuple(self._senders):  # each leaves as it is detached
            link.detach(error)

    def _row(self, sequence: int, message: NewMessage, now: int) -> Row:
        ttl = min(message.ttl if message.ttl is not None else FOREVER_MS, self.settings.default_ttl)
        lives = ttl < FOREVER_MS
        scheduled = message.scheduled_at is not None and message.scheduled_at > now
        return Row(
            sequence=sequence,
            state=State.SCHEDULED if scheduled else State.ACTIVE,
            enqueued_at=now,
            enqueued_sequence=sequence,
            ttl=ttl if lives else None,
            expires_at=now + ttl if lives and not scheduled else None,
            delivery_count=0,
            size=len(message.payload) + OVERHEAD_BYTES,
            payload=message.payload,
        )

    def _without_duplicates(
        self, numbered: list[tuple[int, NewMessage]], now: int
    ) -> Iterator[tuple[int, NewMessage]]:
        if not self.settings.requires_duplicate_detection:
            yield from numbered
            return
        until = now + self.settings.duplicate_window
        for sequence, message in numbered:
            if message.message_id is not None:
                seen = (self.id, message.message_id, until, now)
                if self._store.write(_REMEMBER, seen).rowcount == 0:
                    continue
            yield sequence, message

    def _open_log(self, entity: int) -> MessageLog:
        found = self._store.read("SELECT last_sequence FROM sb_entity WHERE id = ?", (entity,))
        return MessageLog(self._store, entity, found.fetchone()[0])
