"""Updates over the air on what `make run` starts, from a .bin to the version that the gateway
reports; and what becomes of each fault."""

import json
import re
import secrets
import shlex
from itertools import groupby
from typing import Any

import pytest

from stack.demo import BINARY_BYTES
from tests.client.command_line import CommandLine
from tests.e2e.make_run.orders import APP_BYTES, send, upload, x400
from tests.e2e.make_run.running import Run, command
from tests.ingest.local_platform import eventually

FIRMWARE_BYTES = 300_000
WELL = ("queued", "sent", "accepted", "downloading", "installing", "succeeded")


@pytest.fixture(scope="module")
async def pump(mymote: CommandLine) -> str:
    """An app's name."""
    await mymote.well("app", "create", "Pump control")
    return "Pump control"


def went_well(job: Any) -> bool:
    """Whether it came from state to state, to its good end.

    A gateway that comes into another state while it reports one tells the last of them alone, so
    that two of them may be passed over.
    """
    states = [state for state, _ in groupby(step["state"] for step in job["steps"])]
    seen = {*states, "accepted", "downloading"} == set(WELL)
    return seen and states == [each for each in WELL if each in states]


async def shown_as(mymote: CommandLine, **wanted: str) -> None:
    """Wait until the device has these fields: not the service that ends a job writes them."""

    async def shown() -> bool:
        device = (await mymote.well("device", "show", "Demo"))["device"]
        return {name: device[name] for name in wanted} == wanted

    await eventually(shown)


async def served(run: Run, job_id: str) -> list[tuple[int, int]]:
    """First byte and bytes of each answer to a job's gateway, from the service's log."""
    lines = (run.settings.state_dir / "logs/ota.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines if job_id in line]
    return [(each["first_byte"], each["bytes"]) for each in entries if "first_byte" in each]


async def test_an_app_from_its_bin_to_the_version_that_is_reported(
    run: Run, mymote: CommandLine
) -> None:
    """By the commands that the card shows."""
    commands = re.findall(r"\.venv/bin/mymote (app .*)", "".join(run.printed).replace("\\\n", ""))
    uploading, sending = [shlex.split(each) for each in commands]
    assert (await mymote(*uploading)).status == 0
    shown = await mymote(*sending, columns=120)
    assert shown.status == 0, shown
    assert re.search("succeeded +The gateway reports this app's version, 1.1.0", shown.output)
    await shown_as(mymote, app_name="X400 demo", app_version="1.1.0")
    (job,) = await mymote.well("job", "list", "--device", "Demo", "--kind", "app")
    assert went_well(job)
    assert await served(run, job["id"]) == [(0, BINARY_BYTES)]

    async def told() -> bool:
        events = {each["event"] for each in await mymote.well("device", "timeline", "Demo")}
        return {"app_ordered", "app_installed", "app_restarted"} <= events

    await eventually(told)
    assert "X400 demo 1.1.0" in x400(run, "status")


async def test_a_firmware_of_the_operator(
    run: Run, mymote: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in (run.settings.state_dir / "env").read_text().splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value.strip("'"))
    (mymote.folder / "x400.bin").write_bytes(secrets.token_bytes(FIRMWARE_BYTES))
    file = str(mymote.folder / "x400.bin")
    await command(run, "services.api.operator", "firmware", "upload", file, "--version", "1.2.0")
    order = ("firmware", "send", "Demo", "1.2.0", "--watch", "--yes", "--json")
    ran = await mymote(*order)
    assert ran.status == 0, ran
    job = json.loads(ran.output.splitlines()[-1])
    assert job["kind"] == "firmware"
    assert went_well(job)
    await shown_as(mymote, fwversion="1.2.0")


async def test_a_cut_download_goes_on_at_the_byte_where_it_stopped(
    run: Run, mymote: CommandLine, pump: str
) -> None:
    await upload(mymote, pump, "1.2.0")
    assert "cut-download at 40 % (once)" in x400(run, "fault", "cut-download", "--at", "40")
    job = await send(mymote, pump, "1.2.0")
    assert job["attempt"] == 1
    assert went_well(job)
    (begun, sent), (went_on, rest) = await served(run, job["id"])
    assert (begun, went_on, rest) == (0, APP_BYTES * 40 // 100, APP_BYTES * 60 // 100)
    assert went_on <= sent <= APP_BYTES


async def test_what_was_changed_on_its_way_is_not_installed(
    run: Run, mymote: CommandLine, pump: str
) -> None:
    await upload(mymote, pump, "1.3.0")
    x400(run, "fault", "corrupt")
    job = await send(mymote, pump, "1.3.0", status=1)
    assert (job["state"], job["attempt"]) == ("failed", 2)
    assert "Given up after 2 attempts: The file that arrived is not the one" in job["reason"]
    tried = [step["reason"] for step in job["steps"] if step["state"] == "queued"]
    assert tried[-1].startswith("Attempt 1 of 2 failed: The file that arrived is not the one")
    assert "none" in x400(run, "fault", "off")
    await shown_as(mymote, app_name=pump, app_version="1.2.0")


async def test_an_installation_that_fails(run: Run, mymote: CommandLine, pump: str) -> None:
    await upload(mymote, pump, "1.4.0")
    x400(run, "fault", "fail-install")
    job = await send(mymote, pump, "1.4.0", status=1)
    x400(run, "fault", "off")
    assert job["state"] == "failed"
    assert "Given up after 2 attempts: The gateway could not install it" in job["reason"]
    assert await served(run, job["id"]) == [(0, APP_BYTES)]  # the second time it has the file


async def test_a_loss_of_power_while_it_installs(run: Run, mymote: CommandLine, pump: str) -> None:
    await upload(mymote, pump, "1.5.0")
    x400(run, "fault", "power-loss")
    job = await send(mymote, pump, "1.5.0")
    assert job["attempt"] == 2
    (why,) = [step["reason"] for step in job["steps"] if "failed" in step["reason"]]
    assert "lost its power while it installed, and runs what it ran before" in why
    assert await served(run, job["id"]) == [(0, APP_BYTES)]  # what it had is kept


async def test_an_order_to_a_gateway_that_is_away_waits_and_can_be_taken_back(
    run: Run, mymote: CommandLine, pump: str
) -> None:
    await upload(mymote, pump, "1.7.0")
    await upload(mymote, pump, "1.8.0")
    x400(run, "unplug")
    first, second = [
        (await mymote.well("app", "send", "Demo", pump, version, "--yes"))["id"]
        for version in ("1.7.0", "1.8.0")
    ]
    superseded = await mymote.well("job", "show", first)
    assert (superseded["state"], superseded["reason"]) == (
        "superseded",
        f"A newer order took its place: {pump} 1.8.0, job {second}.",
    )
    cancelled = await mymote.well("job", "cancel", second, "--yes")
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "Cancelled by first.")
    third = (await mymote.well("app", "send", "Demo", pump, "1.8.0", "--yes"))["id"]
    x400(run, "plug")
    assert (await mymote("job", "watch", third)).status == 0
    assert await mymote.well("job", "list", "--state", "open") == []
