"""A whole run: traffic and faults from a seed, quiet, the check, and the report."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from tests.ledger import plan
from tests.ledger.checker import Report, check
from tests.ledger.driver import Driver
from tests.ledger.faults import Amounts, schedule
from tests.ledger.oracle import Rules
from tests.ledger.plan import GatewayPlan
from tests.ledger.settle import settle
from tests.ledger.trace import trace
from tests.ledger.world import Setting, World, open_world

TRACES = 10
GREEDY, BROKEN = 10, 9  # every tenth gateway sends too much, every ninth garbage as well
CLOCKS = {3: plan.AHEAD, 5: plan.BEHIND}  # gateways whose clock cannot be believed


@dataclass(frozen=True)
class Options:
    """How much of everything. The same seed gives the same plan and the same schedule."""

    seed: int = 1
    messages: int = 5000
    gateways: int = 100
    accounts: int = 20
    fleets: int = 2
    seconds: float = 150.0
    kills: int = 30
    fleet_kills: int = 2
    pauses: int = 4
    changes: int = 32
    refusals: int = 5
    cuts: int = 20  # gateways that lose their power
    offline: int = 16  # gateways without network, which change hands meanwhile
    repeats: float = 0.03
    lost_pubacks: float = 0.01
    settle_seconds: float = 90.0

    def arguments(self) -> str:
        """The options of the command line that make the same plan and schedule."""
        changed = {"seed": self.seed} | {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default
        }
        return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in changed.items())

    @property
    def unpaired(self) -> int:
        """Gateways that nobody has paired to begin with."""
        return max(2, self.gateways // 12)

    @property
    def rules(self) -> Rules:
        """A quota that only the greedy gateways exceed."""
        share = self.messages / self.gateways
        return Rules(
            data=int(share * 1.1), notifications=int(share * 0.4) + 2, parked=int(share * 0.3) + 1
        )


@dataclass
class Outcome:
    """What a run came to; `text` is the report for people."""

    report: Report
    faults: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    text: str = ""


async def run(options: Options, directory: Path, say: Callable[[str], None]) -> Outcome:
    """One run in a directory of its own, which keeps its logs and records."""
    setting = Setting(
        accounts=options.accounts,
        gateways=options.gateways,
        unpaired=options.unpaired,
        rules=options.rules,
        repeats=options.repeats,
        lost_pubacks=options.lost_pubacks,
        seed=options.seed,
    )
    clock = _Clock()
    async with open_world(directory, setting) as world:
        say(f"{options.gateways} gateways of {options.accounts} accounts are made")
        clock.lap("making")
        planned_gateways = plans(world.gateways, options)
        # Each gateway's last message finds all pairings as they are in the end.
        over = directory / "over"
        for number in range(options.fleets):
            mine = planned_gateways[number :: options.fleets]
            await world.start_fleet(f"fleet-{number + 1}", mine, last_after=over)
        driver = Driver(world, say)
        planned = schedule(
            options.seed,
            _amounts(options),
            fleets=list(world.fleets),
            accounts=options.accounts,
            paired=range(options.gateways - options.unpaired),
            unpaired=range(options.gateways - options.unpaired, options.gateways),
            offline=[
                (number, each.at + each.seconds / 2)
                for number, gateway in enumerate(planned_gateways)
                for each in gateway.offline
            ],
        )
        await driver.run(planned)
        over.touch()
        clock.lap("faults")
        say("all faults are over")
        await settle(world, options.settle_seconds, say)
        clock.lap("quiet")
        outcome = await judge(world)
        clock.lap("check")
        outcome.faults = Counter(done.what for done in world.done)
        outcome.seconds = clock.laps
        outcome.text = _text(outcome, options)
        return outcome


async def judge(world: World) -> Outcome:
    """The check of what a world has come to, with the traces of what is wrong."""
    evidence = await world.evidence()
    report = check(evidence)
    logs = sorted((world.directory / "stack" / "logs").glob("ingest*.log"))
    told = []
    for violation in report.violations[:TRACES]:
        told.append(str(violation))
        if violation.key is not None:
            told.append(trace(violation.key, evidence, report.expected, world.done, logs))
    told += [str(each) for each in report.violations[TRACES:]]
    return Outcome(report, text="\n".join(told))


def plans(gateways: list[GatewayPlan], options: Options) -> list[GatewayPlan]:
    """What each gateway sends and when it loses its power."""
    chance = random.Random(f"plan {options.seed}")
    greedy = range(0, len(gateways), GREEDY)
    shares = plan.spread(options.messages, len(gateways), greedy=greedy)
    cut = [chance.randrange(len(gateways)) for _ in range(options.cuts)]
    without_network = chance.sample(
        range(len(gateways) - options.unpaired), k=min(options.offline, len(gateways) // 2)
    )
    planned = []
    for number, gateway in enumerate(gateways):
        sends = plan.sends(chance, shares[number], options.seconds, broken=number % BROKEN == 0)
        offline = [plan.offline(chance, options.seconds)] if number in without_network else []
        update = {
            "clock_offset": CLOCKS.get(number, 0.0),
            "sends": plan.hurried(sends, offline[0]) if offline else sends,
            "cuts": plan.cuts(chance, cut.count(number), options.seconds),
            "offline": offline,
        }
        planned.append(gateway.model_copy(update=update))
    return planned


def _amounts(options: Options) -> Amounts:
    return Amounts(
        seconds=options.seconds,
        kills=options.kills,
        fleet_kills=options.fleet_kills,
        pauses=options.pauses,
        changes=options.changes,
        refusals=options.refusals,
    )


def _text(outcome: Outcome, options: Options) -> str:
    """The report: what was done, what it came to, how to do it again."""
    report = outcome.report
    lines = [
        f"{sum(report.outcomes.values())} messages of {options.gateways} gateways compared:",
        *(f"  {count:6} {what}" for what, count in report.outcomes.most_common()),
        f"{report.handed_over} waited for their gateway's first owner",
        f"{report.repeats} events of the stream were repetitions",
        f"{report.resent} messages were sent again after a fault, and dropped by their queue",
        f"{report.unsure} messages came while their pairing was being written",
        "faults: "
        + "; ".join(f"{count} x {what}" for what, count in sorted(outcome.faults.items())),
        "seconds: " + ", ".join(f"{what} {took:.1f}" for what, took in outcome.seconds.items()),
        f"{len(report.violations)} violations" if report.violations else "no violation",
        outcome.text,
        f"again: python -m tests.ledger {options.arguments()}",
    ]
    return "\n".join(each for each in lines if each)


class _Clock:
    """How long each part took."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._since = now - self._since, now
