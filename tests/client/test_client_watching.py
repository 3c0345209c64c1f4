"""`--watch`: a job until its end, for people and programs; a server gives the answers in turn."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from mymote import watching
from services.api.entities.jobs import WantedJobState
from tests.client.test_client_patience import AWAY, DEVICE, Answer, answering

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
    assert [line[21:] for line in stands] == [
        "downloading 100 %",
        "installing",
        "succeeded          It reports 1.4.0.",
    ]


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
    assert (ran.status, ran.errors.count("Trying again.")) == (0, 2)


async def test_ctrl_c_ends_the_watching_and_not_the_job(tmp_path: Path) -> None:
    with answering(*answers(WELL[0])) as server:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mymote", "job", "watch", JOB_ID),
            env={**os.environ, **server.client(tmp_path).environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), 20)
        child.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 130
    assert "The job goes on." in errors.decode()
    assert f"mymote job cancel {JOB_ID}" in errors.decode()
    assert {method for method, _, _ in server.asked} == {"GET"}
