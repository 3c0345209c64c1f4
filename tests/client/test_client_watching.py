"""`--watch`: a job until its end, for people and programs; a server gives the answers in turn."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from mymote import watching
from mymote.failures import Failure
from services.api.entities.jobs import WantedJobState
from tests.client.test_client_patience import AWAY, DEVICE, Answer, answering

if TYPE_CHECKING:
    from mymote.api import Api

JOB_ID = str(uuid.uuid4())
AT = "2026-03-14T12:00:0{}Z"


def steps(*states: str) -> list[dict[str, Any]]:
    """Each "state", "state percent" or "state: reason", a second after the other."""
    made = []
    for second, text in enumerate(states):
        what, _, reason = text.partition(": ")
        state, _, percent = what.partition(" ")
        made.append(
            {
                "state": state,
                "at": AT.format(second),
                "reason": reason,
                "percent": int(percent or 0),
                "attempt": 1,
            }
        )
    return made


def job(*states: str) -> dict[str, Any]:
    """As the api shows one that has come this way."""
    happened = steps(*states)
    return {
        "id": JOB_ID,
        "device_id": DEVICE,
        "name": "Pump control",
        "version": "1.4.0",
        **{name: happened[-1][name] for name in ("state", "reason", "percent", "attempt")},
        "state_at": happened[-1]["at"],
        "steps": happened,
    }


def answers(*jobs: dict[str, Any]) -> list[Answer]:
    return [(200, {}, json.dumps(each).encode()) for each in jobs]


BEGUN = ("queued", "sent", "accepted")
WELL = [
    job("queued: The gateway is not connected."),
    job(*BEGUN, "downloading 25"),
    job(*BEGUN, "downloading 100", "installing", "succeeded: It reports 1.4.0."),
]


def test_what_is_open_is_what_the_api_calls_open() -> None:
    ends = {"open", "succeeded", "failed", "rejected", "timed_out", "cancelled", "superseded"}
    assert {each.value for each in WantedJobState} == {*watching.OPEN, *ends}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.02)


async def test_lines_where_nobody_sees_a_terminal(tmp_path: Path) -> None:
    with answering(*answers(*WELL)) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID)
    assert ran.status == 0, ran
    lines = [line[21:] for line in ran.output.splitlines()]
    assert lines == [
        "queued             The gateway is not connected.",
        "sent",
        "accepted",
        "downloading 25 %",
        "downloading 100 %",
        "installing",
        "succeeded          It reports 1.4.0.",
    ]


async def test_what_came_further_has_the_time_when_that_was_seen(tmp_path: Path) -> None:
    seen = [job(*BEGUN, "downloading 25"), job(*BEGUN, "downloading 50"), WELL[2]]
    with answering(*answers(*seen)) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID)
    lines = [line for line in ran.output.splitlines() if "downloading" in line]
    assert [line[21:] for line in lines] == [f"downloading {n} %" for n in (25, 50, 100)]
    began, *later = [line[:10] for line in lines]
    assert began == "2026-03-14"
    assert "2026-03-14" not in later


WAITING = [
    ({"state": "sent", "answer_by": AT.format(9)}, "the gateway's answer, until "),
    ({"state": "installing", "answer_by": AT.format(9)}, "report the new version, until "),
    ({"state": "queued", "retry_at": AT.format(9)}, "the next attempt, at "),
    ({"state": "sent", "answer_by": None}, "the gateway to connect, until "),
    ({"state": "failed", "answer_by": None}, ""),
]


@pytest.mark.parametrize(("fields", "said"), WAITING)
def test_what_a_job_waits_for(fields: dict[str, Any], said: str) -> None:
    told = watching.outlook({"expires_at": AT.format(8), **fields})
    assert said in told
    assert bool(told) == bool(said)


async def test_a_line_of_json_for_each_change(tmp_path: Path) -> None:
    with answering(*answers(WELL[0], WELL[0], *WELL[1:])) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID, "--json")
    assert ran.status == 0, ran
    assert [json.loads(line) for line in ran.output.splitlines()] == WELL


async def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    with answering(*answers(*WELL)) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID, columns=100)
    assert ran.status == 0, ran
    assert re.search("queued.* h The gateway is not connected", ran.output)
    assert re.search("downloading [━╸╺ ]+ 25 %", ran.output)
    after = ran.output.rpartition("25 %")[2]
    stands = re.findall("2026-.*", after)
    assert [line[21:].rstrip() for line in stands] == [
        "downloading 100 %",
        "installing",
        "succeeded          It reports 1.4.0.",
    ]


LONG = (
    "Attempt 1 of 3 failed: The gateway lost its power while it installed, and runs what it ran "
    "before. It is tried again in 10 seconds."
)


async def test_a_long_reason_stays_in_its_column(tmp_path: Path) -> None:
    tried = job(*BEGUN, f"queued: {LONG}", "sent", "succeeded")
    with answering(*answers(tried)) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID, columns=80)
    assert ran.status == 0, ran
    _, _, told = ran.output.rpartition("queued")
    first, *more = told.partition("2026-")[0].splitlines()
    assert " ".join(line.strip() for line in (first, *more)).strip() == LONG
    assert len(more) > 1
    assert all(line.startswith(" " * 40) for line in more)


async def test_a_job_in_a_terminal_is_shown_in_plain_characters(tmp_path: Path) -> None:
    with answering(*answers(WELL[2])) as server:
        ran = await server.client(tmp_path)("job", "show", JOB_ID, columns=100)
    assert ran.status == 0, ran
    assert "succeeded          It reports 1.4.0." in ran.output
    assert "\\x1b" not in ran.output


async def test_a_narrow_list_still_says_why(tmp_path: Path) -> None:
    page = {"items": [job(*BEGUN, f"queued: {LONG}")], "next": ""}
    for columns in (80, 300):
        with answering(*answers(page)) as server:
            ran = await server.client(tmp_path)("job", "list", columns=columns)
        assert ran.status == 0, ran
        header, row, *rest = ran.output.splitlines()
        assert re.search(f"^{JOB_ID}  Pump.* 1.4.0  +queued  +{DEVICE[:8]}", row)
        if columns == 80:
            assert " ".join(line.strip() for line in rest[:2]) == LONG
            assert all(len(line) <= 80 and line.startswith("  ") for line in rest[:2])
        else:
            assert header.endswith("REASON")
            assert row.endswith(LONG)


@pytest.mark.parametrize("end", ["failed", "rejected", "timed_out", "cancelled", "superseded"])
async def test_every_other_end_is_a_failure(tmp_path: Path, end: str) -> None:
    with answering(*answers(job(*BEGUN, f"{end}: The file is broken."))) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID)
    assert ran.status == 1
    assert "The file is broken." in ran.output
    assert ran.errors == f"Pump control 1.4.0 was not installed: {end.replace('_', ' ')}.\n"


async def test_an_api_that_goes_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("mymote.api.ATTEMPTS", 2)
    with answering(*answers(WELL[1]), AWAY, AWAY, AWAY, AWAY, *answers(WELL[2])) as server:
        ran = await server.client(tmp_path)("job", "watch", JOB_ID, "--json")
    assert (ran.status, ran.errors.count("Trying again.")) == (0, 1)


class AwayForAWhile:
    """An api that answers, does not for a while, and answers."""

    def __init__(self) -> None:
        self._replies: Iterator[dict[str, Any] | Failure] = iter(
            [WELL[1], Failure("It is away."), Failure("It is away."), WELL[2]]
        )

    def call(self, _operation: str, **_path: str) -> dict[str, Any]:
        reply = next(self._replies)
        if isinstance(reply, Failure):
            raise reply
        return reply


def test_what_is_said_of_an_api_that_is_away_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "LONGEST_PAUSE_SECONDS", 0.02)
    seen, terminal = pty.openpty()
    with open(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        watching.watch(cast("Api", AwayForAWhile()), JOB_ID, as_json=False)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", os.read(seen, 65_536).decode())
    os.close(seen)
    (before,) = re.findall(r"(.*)It is away\. Trying again\.", shown)
    assert before.endswith("\r\x1b[2K")  # what was drawn live is wiped first


async def test_ctrl_c_ends_the_watching_and_not_the_job(tmp_path: Path) -> None:
    with answering(*answers(WELL[0])) as server:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mymote", "job", "watch", JOB_ID),
            env={**os.environ, **server.client(tmp_path).environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), 60)
        child.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 130
    assert "The job goes on." in errors.decode()
    assert f"mymote job cancel {JOB_ID}" in errors.decode()
    assert {method for method, _, _ in server.asked} == {"GET"}
