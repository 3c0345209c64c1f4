"""Which faults happen when: a schedule made from a seed. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

INGESTS = ("ingest", "ingest-2")
AZURE = "azure"
# Longer than the partitions of a process that stands still are left to it.
BEYOND_EXPIRY = 13.0
AIMED = 0.7  # share of the kills that are aimed


class Fault(Enum):
    """What goes wrong, or changes, while messages are on their way."""

    KILL = "SIGKILL"  # of a process; started again after some seconds
    PAUSE = "SIGSTOP"  # of a process; SIGCONT after some seconds
    REFUSE = "queue disabled"  # an account's; enabled after some seconds
    PAIR_AGAIN = "unpair, and pair to the same account"
    PAIR_OTHER = "unpair, and pair to another account"
    PAIR_TWO = "unpair, and two accounts pair at once"
    PAIR_FIRST = "pair for the first time"
    UNPAIR = "unpair"


CHANGES = (Fault.PAIR_AGAIN, Fault.PAIR_OTHER, Fault.PAIR_TWO, Fault.UNPAIR)


@dataclass(frozen=True)
class Planned:
    """A fault, `at` seconds after the start. `target`: a process, or a number as text."""

    at: float
    fault: Fault
    target: str
    seconds: float = 0.0
    # Only when a message has just reached a reader: between its sending and its commit, mostly.
    aimed: bool = False

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.fault.value} {self.target}{lasting}"


@dataclass(frozen=True)
class Amounts:
    """How many of each kind in how many seconds."""

    seconds: float
    kills: int  # of ingest 1, ingest 2 and the local Azure
    fleet_kills: int
    pauses: int  # of ingest; the first one beyond the expiry of its partitions
    changes: int  # of pairings
    refusals: int


def schedule(
    seed: int,
    amounts: Amounts,
    *,
    fleets: Sequence[str],
    accounts: int,
    paired: Sequence[int],
    unpaired: Sequence[int],
    offline: Sequence[tuple[int, float]],
) -> list[Planned]:
    """All faults in order of time.

    `paired` and `unpaired` are numbers of gateways, `offline` those that have no network at some
    moment: that is when they change hands.
    """
    chance = random.Random(f"faults {seed}")
    victims = [(*INGESTS, AZURE)[number % 3] for number in range(amounts.kills)]
    chance.shuffle(victims)
    planned = [
        Planned(at, Fault.KILL, victim, chance.uniform(0.1, 1.2), aimed=chance.random() < AIMED)
        for at, victim in zip(_times(chance, amounts, len(victims)), victims, strict=True)
    ]
    for at in _times(chance, amounts, amounts.fleet_kills):
        planned.append(Planned(at, Fault.KILL, chance.choice(fleets), chance.uniform(0.1, 1.2)))
    for number, at in enumerate(_times(chance, amounts, amounts.pauses)):
        long = number == 0 and amounts.seconds > 3 * BEYOND_EXPIRY
        seconds = BEYOND_EXPIRY if long else chance.uniform(0.5, 3)
        planned.append(Planned(at, Fault.PAUSE, chance.choice(INGESTS), seconds))
    for at in _times(chance, amounts, amounts.refusals):
        seconds = chance.uniform(0.1, 0.2) * amounts.seconds
        planned.append(Planned(at, Fault.REFUSE, str(chance.randrange(accounts)), seconds))
    for number, at in enumerate(_times(chance, amounts, amounts.changes)):
        what = CHANGES[number % len(CHANGES)]
        planned.append(Planned(at, what, str(chance.choice(paired)), chance.uniform(0, 2)))
    for number, (gateway, at) in enumerate(offline):
        planned.append(Planned(at, CHANGES[number % len(CHANGES)], str(gateway), 0.1))
    # The last of them stay nobody's, and their messages parked.
    for number in unpaired[: max(1, len(unpaired) * 3 // 4)]:
        at = chance.uniform(0.3, 0.8) * amounts.seconds
        planned.append(Planned(at, Fault.PAIR_FIRST, str(number)))
    return sorted(planned, key=lambda each: each.at)


def _times(chance: random.Random, amounts: Amounts, count: int) -> list[float]:
    """One moment in each of `count` equal parts of the time; the last tenth is left alone."""
    part = 0.85 * amounts.seconds / max(count, 1)
    start = 0.05 * amounts.seconds
    return [start + part * (number + chance.random()) for number in range(count)]
