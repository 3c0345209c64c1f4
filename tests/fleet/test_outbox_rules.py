"""The rules of outboxes hold whatever happens in whichever order."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.api.documents.user_messages import OPEN, MessageState, Outbox, UserMessage
from services.api.logic import outbox as rules

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
STATUSES = ("Success", "Expired", "Purged", "DeliveryCountExceeded", "Rejected", "Unheard")


class OutboxMachine(RuleBasedStateMachine):
    """One outbox, its messages as the database has them, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.pairing = ("ann", START)
        self.outbox = Outbox(device_id="d", user_id="ann", paired_at=START)
        self.messages: dict[str, UserMessage] = {}
        self.delivered: set[str] = set()

    def change(self, changed: rules.Changed) -> None:
        """What a transaction writes."""
        self.outbox = changed.outbox
        for message_id, fields in changed.fields.items():
            before = self.messages[message_id]
            self.messages[message_id] = before.model_copy(update=dict(fields))

    def settle(self, fields: dict[str, rules.Fields]) -> None:
        self.change(rules.changed(self.outbox, self.messages, fields, self.now))

    def open(self, *states: MessageState) -> list[UserMessage]:
        found = [each for each in self.messages.values() if each.state in (states or OPEN)]
        return sorted(found, key=lambda each: each.number)

    @rule(seconds=st.sampled_from([0.5, 5, 3600, 86_400, 6 * 86_400]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.outbox.user_id)
    @rule(lasts=st.sampled_from([1, 3600, 3 * 86_400, 7 * 86_400]))
    def accept(self, lasts: int) -> None:
        message = UserMessage(
            id=f"m{self.outbox.next}",
            device_id="d",
            user_id=self.pairing[0],
            paired_at=self.pairing[1],
            number=self.outbox.next,
            size=1,
            state_at=self.now,
            created_at=self.now,
            expires_at=self.now + timedelta(seconds=lasts),
        )
        self.messages[message.id] = message
        self.outbox = rules.accepted(self.outbox, message, self.now)

    @precondition(lambda self: rules.may_send(self.outbox, self.now))
    @rule(refused=st.booleans())
    def send(self, refused: bool) -> None:
        self.outbox = rules.claimed(self.outbox, "c", self.now)
        room = rules.HUB_HOLDS - self.outbox.sent
        batch = [
            each
            for each in self.open(MessageState.WAITING)
            if self.outbox.is_of(each.user_id, each.paired_at)
            and each.expires_at > self.now
            and not each.withdrawn
            and (each.not_before is None or each.not_before <= self.now)
        ][:room]
        self.settle(
            {
                each.id: rules.refused(each, "No.", self.now)
                if refused
                else rules.given(each, self.now)
                for each in batch
            }
        )
        self.outbox = rules.released(self.outbox, self.now)

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), status=st.sampled_from(STATUSES))
    def tell(self, data: st.DataObject, status: str) -> None:
        message = self.messages[data.draw(st.sampled_from(sorted(self.messages)))]
        if fields := rules.told(message, status, self.now):
            assert fields["state"] is not MessageState.EXPIRED or message.expires_at <= self.now
            self.settle({message.id: fields})
        if status == "Success":
            self.delivered.add(message.id)

    @precondition(lambda self: self.open(MessageState.WAITING))
    @rule()
    def cancel(self) -> None:
        self.settle({self.open(MessageState.WAITING)[0].id: rules.cancelled(self.now)})

    @precondition(lambda self: self.open(MessageState.SENT))
    @rule()
    def withdraw(self) -> None:
        self.outbox = rules.regrouping(self.outbox, self.now)
        self.settle({self.open(MessageState.SENT)[0].id: {"withdrawn": True}})

    @rule(user_id=st.sampled_from(["", "ann", "bob"]))
    def hand_over(self, user_id: str) -> None:
        self.now += timedelta(microseconds=1)
        self.pairing = (user_id, self.now)
        self.outbox = rules.handed_over(self.outbox, user_id, self.now, self.now)

    @rule(limit=st.integers(1, 3))
    def look(self, limit: int) -> None:
        self.change(rules.tidied(self.outbox, self.open(), limit, self.now))

    @invariant()
    def counts_are_right(self) -> None:
        assert self.outbox.waiting == len(self.open(MessageState.WAITING))
        assert self.outbox.sent == len(self.open(MessageState.SENT)) <= rules.HUB_HOLDS

    @invariant()
    def nothing_open_is_forgotten(self) -> None:
        """Somebody comes by the time at which something is to be done, for every message."""
        assert (self.outbox.due is not None) == bool(self.open())
        for message in self.open():
            assert self.outbox.due is not None
            latest = message.expires_at
            if message.state is MessageState.SENT:
                latest = (message.hub_until or latest) + rules.FEEDBACK_LATEST
            assert self.outbox.due <= max(latest, self.now).timestamp()

    @invariant()
    def what_comes_back_goes_first(self) -> None:
        """And holds nothing up for long."""
        until = self.outbox.regroup_until
        assert until is None or self.outbox.sent
        if until is not None and self.now < until:
            assert until <= self.now + rules.FEEDBACK_LATEST
            assert not rules.may_send(self.outbox, self.now)

    @invariant()
    def what_was_delivered_stays_delivered(self) -> None:
        assert all(self.messages[each].state is MessageState.DELIVERED for each in self.delivered)

    def teardown(self) -> None:
        """After a week and two looks all have found their end."""
        self.now += timedelta(days=8)
        for _ in range(len(self.messages) + 1):
            self.look(50)
        assert self.open() == []
        assert self.outbox.due is None


OutboxMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, derandomize=True, deadline=None
)
TestOutboxRules = OutboxMachine.TestCase


def test_pauses_grow_and_end() -> None:
    pauses = [rules.pause_after(failures) for failures in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == rules.LONGEST_PAUSE
