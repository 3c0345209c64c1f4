"""What each gateway of a fleet shall send when, made from a seed."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

# Some of everything that a gateway can send. "garbage" is a notification that is not UTF-8.
Kind = Literal["data", "notification", "garbage"]
KINDS: tuple[Kind, ...] = ("data", "notification", "garbage")
WEIGHTS = (86, 14, 0)
WEIGHTS_OF_A_BROKEN_ONE = (74, 12, 14)

AHEAD, BEHIND = 600.0, -40 * 86_400.0  # clocks that the cloud must not believe, in seconds
GREEDY_SHARE = 2.2  # of what the others send


class Send(BaseModel):
    """A message, `at` seconds after the plan's origin."""

    at: float
    kind: Kind
    size: int


class Cut(BaseModel):
    """The gateway loses its power `at` seconds after the plan's origin, for some seconds."""

    at: float
    seconds: float


class Offline(BaseModel):
    """The network cable is out for some seconds; what the app sends meanwhile waits stored."""

    at: float
    seconds: float


class GatewayPlan(BaseModel):
    """One gateway's part."""

    device_id: str
    connection_string: str
    plain: bool
    clock_offset: float = 0.0  # of the gateway's clock against the true time, in seconds
    sends: list[Send]
    cuts: list[Cut] = []
    offline: list[Offline] = []


class FleetPlan(BaseModel):
    """One process's gateways."""

    origin: float  # Unix time
    state: Path  # the gateways' stores
    record: Path
    hub_host: str
    mqtt_port: int
    mqtts_port: int
    ca_file: Path
    gateways: list[GatewayPlan]
    # Until this file is there each gateway keeps its last message back, if it has several.
    last_after: Path | None = None


def spread(count: int, parts: int, *, greedy: Sequence[int]) -> list[int]:
    """`count` messages over `parts` gateways; the greedy ones send more than their share."""
    weights = [GREEDY_SHARE if number in greedy else 1.0 for number in range(parts)]
    shares = [int(count * weight / sum(weights)) for weight in weights]
    for number in range(count - sum(shares)):
        shares[number % parts] += 1
    return shares


def sends(chance: random.Random, count: int, seconds: float, *, broken: bool) -> list[Send]:
    """Messages at times of their own, some of them in bursts."""
    times: list[float] = []
    while len(times) < count:
        at = chance.uniform(0, seconds)
        burst = chance.choice((1, 1, 1, 2, 5))
        times += [at] * min(burst, count - len(times))
    kinds = chance.choices(KINDS, WEIGHTS_OF_A_BROKEN_ONE if broken else WEIGHTS, k=count)
    return [
        Send(at=at, kind=kind, size=chance.choice((30, 200, 200, 1500)))
        for at, kind in zip(sorted(times), kinds, strict=True)
    ]


def offline(chance: random.Random, seconds: float) -> Offline:
    """A tenth to a fifth of the time without network."""
    return Offline(
        at=chance.uniform(0.1, 0.6) * seconds, seconds=chance.uniform(0.1, 0.2) * seconds
    )


def hurried(sends_of: Sequence[Send], without_network: Offline) -> list[Send]:
    """The same messages, the latter half of them while there is no network: many wait then."""
    half = len(sends_of) // 2
    step = without_network.seconds / (len(sends_of) - half + 1)
    moved = [
        each.model_copy(update={"at": without_network.at + step * (number + 1)})
        for number, each in enumerate(sends_of[half:])
    ]
    return sorted([*sends_of[:half], *moved], key=lambda each: each.at)


def cuts(chance: random.Random, count: int, seconds: float) -> list[Cut]:
    """Power cuts of half a second to three."""
    times = sorted(chance.uniform(0.05, 0.9) * seconds for _ in range(count))
    return [Cut(at=at, seconds=chance.uniform(0.5, 3)) for at in times]
