"""When something behind the api does not answer: a sentence, soon, and no lost connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from services.api.factory import create_app
from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from shared import iothub
from shared.clients import open_azure
from shared.errors import NotFound, Unavailable
from shared.iothub import CALL_SECONDS, SEND_SECONDS, open_iot_hub
from stack.local import LocalStack
from stack.process import Process
from tests.api.customers import Customer, new_gateway, settings_of
from tests.api.mqtt_gateway import connected
from tests.api.tcp_proxy import Proxy
from tests.api.test_api_refusals import JSON, assert_error
from tests.free_ports import free_ports

START_SECONDS = 60


@asynccontextmanager
async def api_with(
    stack: LocalStack, log_file: Path, changes: dict[str, str]
) -> AsyncIterator[tuple[httpx.AsyncClient, Process]]:
    """Another api on the same stack, with some of its settings changed."""
    (port,) = free_ports(1)
    environment = stack.service_environment | {"MYMOTE_API_PORT": str(port)} | changes
    process = Process("api", ("services.api",), environment, log_file)
    await process.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await _alive(client, process)
            yield client, process
    finally:
        await process.stop()


async def _alive(client: httpx.AsyncClient, process: Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.running, process.last_lines()
            try:
                if (await client.get("/healthz")).status_code == 200:
                    return
            except httpx.ConnectError:
                await asyncio.sleep(0.05)


async def test_without_database(stack: LocalStack, alice: Customer, pump: Manufactured) -> None:
    app = create_app(settings_of(stack, cosmos_endpoint=f"http://localhost:{free_ports(1)[0]}"))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        *replies, ready = await asyncio.gather(
            client.get(f"{alice.base}/devices"),
            client.get(f"{alice.base}/groups"),
            client.get(f"{alice.base}/devices/{pump.device_id}/stat"),
            client.get("/readyz"),
        )
    for reply in replies:
        assert "database" in assert_error(reply, 503)
        assert reply.headers["retry-after"]
    assert (ready.status_code, ready.json()["checks"]["cosmos"]) == (503, "failing")
    assert ready.json()["checks"]["iothub"] == "ok"


async def test_without_hub(
    stack: LocalStack, tmp_path: Path, alice: Customer, pump: Manufactured
) -> None:
    https, amqp = free_ports(2)
    no_hub = {
        "MYMOTE_IOTHUB": stack.endpoints.iothub.replace(str(stack.settings.https_port), str(https)),
        "MYMOTE_IOTHUB_AMQP_PORT": str(amqp),
    }
    async with api_with(stack, tmp_path / "hub.log", no_hub) as (client, process):
        assert (await client.get(f"{alice.base}/devices")).status_code == 200
        device = f"{alice.base}/devices/{pump.device_id}"
        reply = await client.post(f"{device}/reboot")
        assert "IoT Hub" in assert_error(reply, 503)
        assert reply.headers["retry-after"]
        # A user message is stored, and sent when the hub answers.
        reply = await client.post(f"{device}/sendjson", content=b"1", headers=JSON)
        assert reply.status_code == 200
        assert (await client.get(reply.headers["location"])).json()["state"] == "waiting"

        await process.stop()
        assert await process.exited() in (0, -15)  # and was not killed, as it is after 12 s


async def test_what_nobody_foresaw_answers_a_sentence_and_logs_the_rest(
    stack: LocalStack, client: httpx.AsyncClient, alice: Customer, unreadable_device: str
) -> None:
    url = f"{alice.base}/devices/{unreadable_device}"
    reply = await client.get(url, headers={"X-Correlation-Id": "find-me"})
    assert "find-me" in assert_error(reply, 500)
    log = stack.log_file("api").read_text()
    assert any("Traceback" in line for line in log.splitlines() if "find-me" in line)
    assert alice.api_key not in log


@pytest.fixture
async def unreadable_device(stores: pairing.Stores, alice: Customer) -> AsyncIterator[str]:
    """A document that no version of the api has written."""
    device_id = "X400_" + "f" * 40
    document = {"id": device_id, "user_id": alice.user_id, "status": "Unheard of"}
    await stores.devices.container.upsert_item(document)
    yield device_id
    await stores.devices.container.delete_item(device_id, partition_key=alice.user_id)


async def test_the_hubs_connection_breaks_and_comes_back(
    stack: LocalStack, stores: pairing.Stores
) -> None:
    made = await new_gateway(stores)
    async with Proxy(stack.settings.amqps_port).listening() as proxy:
        settings = settings_of(stack, iothub_amqp_port=proxy.port)
        async with open_azure(settings) as azure, open_iot_hub(azure) as hub:
            for number in range(3):
                before = proxy.connections
                await asyncio.gather(
                    *(
                        hub.send_message(
                            made.device_id, f"{number}", f"m{number}-{one}", within=CALL_SECONDS
                        )
                        for one in range(4)
                    )
                )
                assert proxy.connections > before  # those of the round before were broken
                proxy.cut()
            port = stack.settings.mqtt_port
            async with connected(made.device_connection_string, "127.0.0.1", port) as gateway:
                arrived = {(await gateway.message())[0]["$.mid"] for _ in range(12)}
            assert arrived == {f"m{number}-{one}" for number in range(3) for one in range(4)}


async def test_a_hub_that_takes_connections_and_says_nothing(stack: LocalStack) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        settings = settings_of(stack, iothub_amqp_port=server.sockets[0].getsockname()[1])
        async with open_azure(settings) as azure, open_iot_hub(azure) as hub:
            async with asyncio.timeout(SEND_SECONDS):
                with pytest.raises(Unavailable):
                    await hub.send_message("X400_" + "0" * 40, "1", "m", within=0.5)
        server.close()


async def test_more_calls_than_may_wait_are_refused(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iothub, "MAX_PENDING", 10)
    async with open_azure(settings_of(stack)) as azure, iothub.open_iot_hub(azure) as hub:
        outcomes = await asyncio.gather(
            *(hub.get_twin("X400_" + "0" * 40) for _ in range(15)), return_exceptions=True
        )
    assert sum(isinstance(one, Unavailable) for one in outcomes) == 5
    assert sum(isinstance(one, NotFound) for one in outcomes) == 10


@pytest.mark.parametrize(
    ("service", "namespaces"), [("api", "{}"), ("ingest", '{"local": not-json}')]
)
async def test_settings_that_are_wrong_are_named_and_not_shown(
    stack: LocalStack, tmp_path: Path, service: str, namespaces: str
) -> None:
    secret = "a-secret-that-is-in-the-wrong-place"
    environment = stack.service_environment | {
        "MYMOTE_SERVICEBUS_NAMESPACES": namespaces,
        "MYMOTE_IOTHUB_AMQP_PORT": secret,
    }
    process = Process(service, (f"services.{service}",), environment, tmp_path / "service.log")
    await process.start()
    assert await process.exited() == 1
    said = (tmp_path / "service.log").read_text()
    assert "MYMOTE_SERVICEBUS_NAMESPACES" in said
    assert secret not in said
    assert "not-json" not in said
    assert "Traceback" not in said
