"""What the hub acknowledged outlives it, and devices that do not return are told disconnected."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from emulator.iothub.mqtt_packets import PubAck, Publish
from emulator.store import Store
from tests.emulator_iothub.iothub_harness import (
    API,
    DEVICE_KEY,
    HOST,
    RawClient,
    running_hub,
    until,
)

EVENTS = "devices/gateway/messages/events/"


async def test_registry_and_twins_survive(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as running:
        await running.create("gateway")
        await running.http.patch(f"/twins/gateway{API}", json={"tags": {"name": "one"}})
        identity = (await running.http.get(f"/devices/gateway{API}")).json()
        twin = (await running.http.get(f"/twins/gateway{API}")).json()
    async with running_hub(tmp_path) as running:
        assert (await running.http.get(f"/devices/gateway{API}")).json() == identity
        assert (await running.http.get(f"/twins/gateway{API}")).json() == twin


async def test_a_device_that_does_not_return_is_told_disconnected(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as running:
        clients = []
        for name in ("gateway", "other"):
            await running.create(name)
            client = await RawClient.open(running.mqtt_port)
            clients.append(client)
            await client.connect(name)
            await client.write(Publish(f"devices/{name}/messages/events/", b"", 1, 1))
            assert await client.read() == PubAck(1)
        told = running.operations("deviceConnectionStateEvents")
        assert told == ["deviceConnected", "deviceConnected"]
        sequences = [
            json.loads(event.body)["sequenceNumber"]
            for event in running.events
            if event.source == "deviceConnectionStateEvents"
        ]
    async with running_hub(tmp_path, restart_grace=600) as running:
        assert running.hub.registry.counts()[2] == 0
        client = await RawClient.open(running.mqtt_port)
        await client.connect()
        await client.write(Publish(EVENTS, b"", 1, 1))
        assert await client.read() == PubAck(1)
        running.hub.connections._grace_ends = 0.0
        await until(lambda: running.operations("deviceConnectionStateEvents"))
        (event,) = [e for e in running.events if e.source == "deviceConnectionStateEvents"]
        assert event.operation == "deviceDisconnected"
        assert event.partition_key == "other"
        assert json.loads(event.body)["sequenceNumber"] > max(sequences)
        client.close()


HUB_PROCESS = """
import asyncio, sys
from pathlib import Path
import uvloop
from emulator.iothub import IotHub
from emulator.iothub.identity import IdentityRequest
from emulator.store import Store

async def main():
    store = Store(Path(sys.argv[1]))
    store.create("CREATE TABLE IF NOT EXISTS log (body BLOB)")
    def append(**event):
        store.write("INSERT INTO log VALUES (?)", (event["body"],))
        return 0
    hub = IotHub(store, "localhost", b"key", append)
    hub.create_device("gateway", IdentityRequest(None, None, sys.argv[2], sys.argv[2]))
    await store.durable()
    server = await asyncio.get_running_loop().create_server(hub.mqtt_protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


async def test_killed_it_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "azure.sqlite"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HUB_PROCESS,
        str(path),
        DEVICE_KEY,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    client = await RawClient.open(int(await process.stdout.readline()))
    assert (await client.connect(username=f"{HOST}/gateway/")).code == 0
    acknowledged: list[int] = []

    async def collect() -> None:
        while isinstance(answer := await client.read(), PubAck):
            acknowledged.append(answer.packet_id)

    collecting = asyncio.create_task(collect())
    sent = 0
    while len(acknowledged) <= 500:
        if sent - len(acknowledged) < 1000:
            sent += 1
            await client.write(Publish(EVENTS, b"%d" % sent, 1, sent))
        await asyncio.sleep(0)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await collecting
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    store = Store(path)
    kept = {bytes(row[0]) for row in store.read("SELECT body FROM log")}
    assert {b"%d" % packet_id for packet_id in acknowledged} <= kept
    store.close()
    client.close()
