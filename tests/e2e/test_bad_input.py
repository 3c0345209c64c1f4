"""What is malformed, too large or not allowed is answered clearly and harms nobody else."""

import asyncio
import random
import re
import ssl

import pytest
from azure.core.exceptions import HttpResponseError
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusError

from shared.database import NOTIFICATIONS, PARKED
from tests.ingest.local_platform import Platform, body_of, receive

GARBAGE = (
    b"",
    b"\x00" * 64,
    b"\xff" * 4096,
    b"GET / HTTP/1.0\r\n\r\n",
    b"AMQP\x00\x01\x00\x00\xff\xff\xff\xff\x02\x00\x00\x00",  # a frame of 4 GiB
    b"AMQP\x03\x01\x00\x00\x00\x00\x00\x02\x02\x01\x00\x00",  # a frame shorter than its header
    b"AMQP\x09\x09\x09\x09",  # no such protocol
    b"\x10\xff\xff\xff\x7f\x00\x04MQTT",  # an MQTT packet of 256 MiB
    b"\x10\x0c\x00\x04MQTT\x09\x00\x00\x00\x00\x00",  # no such protocol level
    b"\x30\x02\x00\x00",  # PUBLISH before CONNECT
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",  # half a TLS handshake
)


async def answer(port: int, sent: bytes) -> bytes:
    """What a port says to some bytes before it closes, or within half a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(0.5):
            return await reader.read(65536)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


async def test_garbage_on_every_port_stops_nobody(platform: Platform) -> None:
    settings = platform.stack.settings
    azure = {name: port for name, port in settings.azure_ports().items() if name != "blob_port"}
    # Azurite's own resistance is not ours to test.
    ports = [*azure.values(), settings.api_port, settings.ingest_port]
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    randomness = random.Random(5)
    async with gateway:
        noise = [*GARBAGE, *(randomness.randbytes(300) for _ in range(10))]
        await asyncio.gather(*(answer(port, sent) for port in ports for sent in noise))
        gateway.send(b"after the noise")
        await gateway.delivered()
    assert [body_of(each) for each in await receive(owner, 1)] == [b"after the noise"]
    for name, process in platform.stack.processes.items():
        assert process.running, f"{name} ended"
        assert "Traceback" not in process.log_file.read_text(), f"{name} was surprised"


async def test_bad_messages_are_parked_with_their_reason(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    notification = {"type": "notification", "level": "1"}
    bad: list[tuple[bytes, dict[str, str]]] = [
        (b"x" * 3751, {}),
        (b"", {}),
        (b"x", {"type": "telegram"}),
        (b"x" * 101, notification),
        (b"\xff\xfe", notification),
        (b"x", {"type": "notification", "level": "4"}),
        (b"x", {"type": "notification"}),
        (b"{", {"type": "management"}),
        (b'{"event": "exploded"}', {"type": "management"}),
    ]
    good = b"\xff\xfe\x00 bytes of any kind"
    async with gateway:
        for body, properties in bad:
            gateway.send(body, **properties)
        gateway.send(good)
        gateway.send(b"x" * 100, type="notification", level="3")
        await gateway.delivered()
    await platform.counted(owner, gateway, 2)  # all that comes of them is done before
    # Data is opaque: what arrives on the queue is the one well-formed message, byte for byte.
    assert [body_of(each) for each in await receive(owner, 1)] == [good]
    parked = await platform.all_of(PARKED.name, owner.user_id)
    assert [each["reason"] for each in parked] == ["malformed"] * len(bad)
    assert all(each["detail"] for each in parked)
    notifications = await platform.all_of(NOTIFICATIONS.name, owner.user_id)
    assert [each["text"] for each in notifications] == ["x" * 100]


async def test_a_queues_listen_key_opens_nothing_else(platform: Platform) -> None:
    mine, other = await platform.owner(), await platform.owner()
    connection = mine.queue_connection_string.partition("EntityPath=")[0]  # which the SDK checks
    my_queue, foreign_queue = f"user-{mine.user_id}", f"user-{other.user_id}"
    async with ServiceBusClient.from_connection_string(connection, retry_total=0) as client:
        with pytest.raises(ServiceBusError):
            async with client.get_queue_receiver(foreign_queue) as receiver:
                await receiver.receive_messages(1, max_wait_time=2)
        with pytest.raises(ServiceBusError):
            async with client.get_queue_sender(my_queue):
                pass
    wrong = re.sub("SharedAccessKey=[^;]*", "SharedAccessKey=d3Jvbmc=", connection)
    async with ServiceBusClient.from_connection_string(wrong, retry_total=0) as client:
        with pytest.raises(ServiceBusAuthenticationError):
            async with client.get_queue_receiver(my_queue) as receiver:
                await receiver.receive_messages(1, max_wait_time=2)


async def test_a_wrong_cosmos_key_is_refused(platform: Platform) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        async with CosmosClient(platform.stack.endpoints.cosmos, "d3Jvbmc="):
            pass  # it reads the account before anything else
    assert refused.value.status_code == 401


async def test_what_is_not_emulated_says_so(platform: Platform) -> None:
    namespace = platform.resources.azure.service_bus_administration("local")
    with pytest.raises(HttpResponseError) as refused:
        await namespace.create_topic("news")
    assert refused.value.status_code == 501


async def test_a_slow_handshake_holds_nothing_up(platform: Platform) -> None:
    """A hundred half-open TLS connections, and a gateway gets through while all wait."""
    port = platform.stack.settings.mqtts_port
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    try:
        context = ssl.create_default_context(cafile=platform.stack.endpoints.ca_file)
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
        assert not any(reader.at_eof() for reader, _ in connections)
        writer.close()
    finally:
        for _, held in connections:
            held.close()
