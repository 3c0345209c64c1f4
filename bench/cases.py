"""The loads that ingest's CPU is measured under."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.load.fleet import Member
from tests.load.stream import Sent

BODY_BYTES = 200
PASSES = 3


class Sending(StrEnum):
    """What the bare loop does with each message that it receives."""

    BATCHES = "batches of 100 over open senders"
    SINGLE = "one by one over open senders"
    OPENING = "one by one, opening and closing a sender for each"


@dataclass(frozen=True)
class Case:
    """In each pass `rounds` messages from each gateway, all gateways in turn."""

    name: str
    meaning: str
    sending: Sending
    accounts: int
    gateways: int  # of each account
    rounds: int
    first: bool = False  # measure the very first message of each gateway, too

    @property
    def gateway_count(self) -> int:
        return self.accounts * self.gateways

    def load(self, members: Sequence[Member], mid: int, rounds: int) -> Iterator[Sent]:
        """All gateways in turn; an account's are spread over the partitions."""
        body = b"x" * BODY_BYTES
        for number in range(mid, mid + rounds):
            for index, member in enumerate(members):
                for place, device_id in enumerate(member.device_ids):
                    yield Sent(device_id, number, body, partition=index + place)


# Ingest's pool has 200 senders, and a run of events that is committed at once has messages of at
# most 99 gateways: with 150 gateways in each of 4 partitions it has one message for each of 99
# queues.
CASES = (
    Case(
        "easy",
        "many messages for each of a few queues",
        Sending.BATCHES,
        accounts=10,
        gateways=12,
        rounds=30,
    ),
    Case(
        "hard",
        "one message for each of 99 queues at a time, senders open",
        Sending.SINGLE,
        accounts=150,
        gateways=4,
        rounds=6,
    ),
    Case(
        "opening",
        "one message for each of twice as many queues as the pool has senders",
        Sending.OPENING,
        accounts=400,
        gateways=1,
        rounds=1,
        first=True,
    ),
)
