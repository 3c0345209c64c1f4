"""What `make run` starts, used as its first user would."""

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.make_run.running import PATIENCE_SECONDS, ROOT, Run, command, get

NODE = ROOT / "node_modules/.bin/node"
READY_SECONDS = 20.0  # promised, once installed, of a machine that has nothing else to do


async def read_until(program: tuple[str, ...], wanted: bytes) -> bytes:
    """What an example prints, up to `wanted` and its empty line."""
    child = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    printed = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while wanted not in printed:
                more = await child.stdout.read(65536)
                assert more, f"it ended: {printed!r}"
                printed += more
        child.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await child.wait() == 0, "Ctrl-C did not end it in order"
    finally:
        if child.returncode is None:
            child.kill()  # it would take the next test's message
            await child.wait()
    return printed


@pytest.mark.skipif(sys.platform != "linux", reason="what other programs cost is in /proc")
async def test_it_is_ready_as_soon_as_promised(run: Run) -> None:
    assert run.ready_seconds < READY_SECONDS + run.queued_seconds


async def test_the_card_and_its_file(run: Run) -> None:
    printed = "".join(run.printed)
    for step in ("local Azure", "account and gateway", "api, ota and ingest", "gateway connects"):
        assert f"✓ {step}" in printed
    assert run.demo.queue_connection_string in printed
    file = run.settings.state_dir / "demo.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {
        "dashboard_url",
        "api_url",
        "ota_url",
        "user_id",
        "api_key",
        "username",
        "password",
        "device_id",
        "device_key",
        "device_connection_string",
        "queue_connection_string",
        "iothub_connection_string",
        "eventhub_connection_string",
        "servicebus_connection_string",
        "cosmos_endpoint",
        "cosmos_key",
        "blob_connection_string",
        "ca_file",
        "operator_key",
    }
    assert (await command(run, "stack", "show", "device_id")).strip() == run.demo.device_id
    assert f"{run.demo.username}   password {run.demo.password}" in printed
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        body = {"username": run.demo.username, "password": run.demo.password}
        signed_in = await client.post(f"{run.demo.api_url}/api/login", json=body)
    assert signed_in.json()["user_id"] == run.demo.user_id


async def test_the_operators_calls_open_with_the_cards_key(run: Run) -> None:
    key = (await command(run, "stack", "show", "operator_key")).strip()
    async with httpx.AsyncClient(
        base_url=f"{run.demo.api_url}/api/operator", timeout=PATIENCE_SECONDS
    ) as client:
        reply = await client.get("/accounts", headers={"X-Operator-Key": key})
        refused = await client.get("/accounts", headers={"X-Operator-Key": key[:-1]})
    assert [each["user_id"] for each in reply.json()["items"]] == [run.demo.user_id]
    assert refused.status_code == 401
    assert f"MYMOTE_OPERATOR_KEY='{key}'" in (run.settings.state_dir / "env").read_text()


async def test_one_device_connected_and_its_counts_grow(run: Run) -> None:
    devices = await get(run)
    assert [each["device"]["device_id"] for each in devices] == [run.demo.device_id]
    assert devices[0]["status"] == "Connected"
    before = await get(run, f"/{run.demo.device_id}/stat")
    await command(run, "x400", "press")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (await get(run, f"/{run.demo.device_id}/stat"))["msg_tot"] <= before["msg_tot"]:
        assert time.monotonic() < deadline, "a reading was not counted"
        await asyncio.sleep(0.1)


async def test_the_command_line_signs_in_as_the_cards_account(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYMOTE_CONFIG_DIR", str(tmp_path))
    assert run.demo.user_id in await command(run, "mymote", "login", "--demo")
    listed = await command(run, "mymote", "device", "list")
    assert run.demo.device_id in listed
    assert "Connected" in listed


async def reading(run: Run) -> bytes:
    """The body of a reading that is sent now."""
    said = await command(run, "x400", "press")
    found = re.search(r"\{.*\}", said.replace("\n", " "))
    assert found, said
    return found.group().encode()


async def test_the_python_example_prints_the_body_as_sent(run: Run) -> None:
    body = await reading(run)
    program = (sys.executable, "examples/python/read_queue.py", run.demo.queue_connection_string)
    printed = await read_until(program, b"\n" + body + b"\n\n")
    assert f"iothub-connection-device-id: {run.demo.device_id}\n".encode() in printed


async def test_the_node_example_prints_the_body_as_sent(run: Run) -> None:
    body = await reading(run)
    program = (str(NODE), "examples/node/read-queue.mjs", run.demo.queue_connection_string)
    printed = await read_until(program, b"\n" + body + b"\n\n")
    assert f"iothub-connection-device-id: {run.demo.device_id}\n".encode() in printed


async def test_a_user_message_reaches_the_gateway(run: Run) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        url = f"{run.demo.devices_url}/{run.demo.device_id}/sendjson"
        response = await client.post(url, json={"valve": "open"})
    assert response.status_code == 200, response.text
    deadline = time.monotonic() + PATIENCE_SECONDS
    while '{"valve":"open"}' not in await command(run, "x400", "messages"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    origin = run.demo.api_url
    async with httpx.AsyncClient(base_url=origin, timeout=PATIENCE_SECONDS) as client:
        while (await client.get(response.headers["location"])).json()["state"] != "delivered":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        ({"API_PORT": "abc"}, (), "MYMOTE_STACK_API_PORT"),
        ({}, ("show", "api_key"), "`make run` makes it"),
        ({"STATE_DIR": "broken"}, ("show",), "Delete it"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, variables: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "demo.json").write_text("{")
    settings = {f"MYMOTE_STACK_{name}": value for name, value in variables.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode > 0
    assert not ended.stdout
    assert said in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
