"""Every kind of fault at least once while gateways send: each message has its one right fate."""

from pathlib import Path

import pytest

from tests.ledger.faults import Fault
from tests.ledger.run import Options, run
from tests.one_day import within_one_day

SHORT = Options(
    seed=7,
    messages=400,
    gateways=16,
    accounts=5,
    fleets=1,
    seconds=10,
    kills=6,
    fleet_kills=1,
    pauses=2,
    changes=4,
    refusals=2,
    cuts=3,
    offline=4,
    repeats=0.05,
    lost_pubacks=0.02,
    settle_seconds=120,
)


@pytest.mark.timeout(300)  # a run that does not become quiet tells what is missing
async def test_400_messages_under_every_fault_are_where_they_belong(tmp_path: Path) -> None:
    await within_one_day(60)
    outcome = await run(SHORT, tmp_path, print)
    assert not outcome.report.violations, outcome.text
    assert {each.value for each in Fault} <= outcome.faults.keys()
    assert outcome.faults[Fault.KILL.value] == SHORT.kills + SHORT.fleet_kills
    wanted = {"queue", "notification", "parked malformed", "parked over_quota", "parked no_owner"}
    assert wanted <= outcome.report.outcomes.keys()
    assert outcome.report.outcomes["nobody's"] + outcome.report.outcomes["wiped"] > 0
    assert outcome.report.handed_over > 0
    assert outcome.report.repeats > 0
