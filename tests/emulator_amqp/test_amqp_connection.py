"""The server keeps to the protocol, and what does not is closed without harm to the others."""

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest

from emulator.amqp import connection
from emulator.amqp.frames import AMQP_HEADER, SASL_HEADER, Performative, frame
from emulator.amqp.message import data_section
from emulator.amqp.node import Right
from emulator.amqp.server import IDLE_TIMEOUT
from emulator.amqp.types import Described, Symbol, UInt, ULong, UShort
from emulator.servicebus.settings import AccessRule, QueueSettings
from tests.emulator_amqp.amqp_client import RawClient, sign
from tests.emulator_amqp.amqp_namespace import HUB, KEY, Namespace

PARTITION = f"{HUB}/ConsumerGroups/$Default/Partitions/0"


def root_token() -> str:
    return sign("sb://localhost", KEY)


def fill(namespace: Namespace, count: int, size: int = 100) -> str:
    """Events for one partition; returns the address to receive them from."""
    numbers = [
        namespace.hubs.append(
            HUB, partition_key="d", body=b"x" * size, annotations={}, application_properties={}
        )
        for _ in range(count)
    ]
    assert numbers == list(range(count))
    hub = namespace.hubs.node(HUB)
    partition = hub._hub.choose("d").name  # type: ignore[union-attr]
    return f"{HUB}/ConsumerGroups/$Default/Partitions/{partition}"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",  # AMQP 0.9.1
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS on the plain port
        bytes(64),
        SASL_HEADER + b"\xff" * 64,
        SASL_HEADER + b"\x00\x00\x00\x07\x02\x01\x00\x00",
        SASL_HEADER + frame(0, Performative.SASL_INIT, [Symbol("SCRAM")], kind=1),
        AMQP_HEADER + b"\x00\x00\x00\x0a\x02\x00\x00\x00\xff\xff",
        AMQP_HEADER + frame(0, Performative.BEGIN, [None, UInt(0), UInt(1), UInt(1)]),
        AMQP_HEADER + frame(0, Performative.OPEN, [5, None, UInt(10)]),
        AMQP_HEADER + frame(0, Performative.OPEN, [None] * 30),
    ],
)
async def test_garbage_closes_only_its_own_connection(
    namespace: Namespace, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    good = await RawClient.open(namespace.port)
    bad = await RawClient.connect(namespace.port)
    bad.writer.write(garbage)
    async with asyncio.timeout(30):
        while await bad.reader.read(65536):
            pass
    await bad.close()
    await good.begin()
    assert not [record for record in caplog.records if record.exc_info]
    await good.close()


@pytest.mark.parametrize("size", [65537, 0x7FFFFFFF, 0xFFFFFFFF, 4])
async def test_a_frame_of_a_forbidden_size_is_refused(namespace: Namespace, size: int) -> None:
    client = await RawClient.open(namespace.port)
    client.writer.write(size.to_bytes(4, "big") + b"\x02\x00\x00\x00")
    assert await client.closed() == "amqp:connection:framing-error"


async def test_channels_and_handles_are_limited(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    client.send(256, Performative.BEGIN, [None, UInt(0), UInt(9), UInt(9), UInt(9)])
    assert await client.closed() == "amqp:not-allowed"

    client = await RawClient.open(namespace.port)
    await client.begin()
    terminus = Described(ULong(0x28), ["x"])
    client.send(1, Performative.ATTACH, ["n", UInt(256), True, None, None, terminus, terminus])
    assert (await client.expect(Performative.END))[2][0].value[0] == "amqp:not-allowed"
    await client.begin(2)  # the connection lives
    client.transfer(7, 0, b"", channel=2)
    error = (await client.expect(Performative.END))[2][0]
    assert error.value[0] == "amqp:session:unattached-handle"
    await client.close()


async def test_half_a_frame_and_gone(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    client.writer.write(b"\x00\x00\x01\x00\x02\x00")
    await client.close()
    other = await RawClient.open(namespace.port)
    await other.begin()
    await other.close()


async def test_silence_is_kept_alive_and_a_silent_client_is_closed(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port, idle=60_000)
    (served,) = namespace.server._connections
    served.tick(time.monotonic() + 31)
    assert await client.exactly(8) == b"\x00\x00\x00\x08\x02\x00\x00\x00"
    served.tick(time.monotonic() + IDLE_TIMEOUT + 1)
    assert await client.closed() == "amqp:connection:forced"


async def test_nothing_opens_without_a_token(namespace: Namespace) -> None:
    namespace.bus.broker.create("q1", QueueSettings(), ())
    client = await RawClient.open(namespace.port)
    await client.begin()
    for address in (PARTITION, "q1", "$management", "q1/$management"):
        refused = await client.attach(1, address, receives=True)
        assert refused == "amqp:unauthorized-access"
    assert await client.attach(1, HUB, receives=False) == "amqp:unauthorized-access"
    await client.close()


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        sign("sb://localhost", "another key"),
        sign("sb://localhost", KEY, rule="nobody"),
        sign("sb://localhost", KEY, ttl=-5),
        sign(f"sb://localhost/{HUB}x", KEY),
    ],
)
async def test_a_bad_token_is_401(namespace: Namespace, token: str) -> None:
    client = await RawClient.open(namespace.port)
    await client.begin()
    assert await client.put_token(f"sb://localhost/{HUB}", token, handles=(0, 1)) == 401
    assert await client.attach(2, PARTITION, receives=True) == "amqp:unauthorized-access"
    await client.close()


def turn_the_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """By which connections look whether their tokens have expired."""
    ahead = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic)
    monkeypatch.setattr(connection, "time", ahead)


async def test_a_token_that_expires_closes_its_links(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await RawClient.open(namespace.port)
    await client.authorized(f"sb://localhost/{HUB}", sign(f"sb://localhost/{HUB}", KEY, ttl=600))
    assert await client.attach(1, PARTITION, receives=True) is None
    turn_the_clock(monkeypatch, 1000)
    error = (await client.expect(Performative.DETACH))[2][2]
    assert error.value[0] == "amqp:unauthorized-access"
    await client.close()


async def test_a_token_that_is_renewed_keeps_its_links(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await RawClient.open(namespace.port)
    audience = f"sb://localhost/{HUB}"
    await client.authorized(audience, sign(audience, KEY, ttl=600))
    address = fill(namespace, 1)
    assert await client.attach(1, address, receives=True) is None
    assert await client.put_token(audience, sign(audience, KEY, ttl=6000), handles=(2, 3)) == 200
    turn_the_clock(monkeypatch, 1000)
    for each in namespace.server._connections:
        each.tick(time.monotonic())
    client.flow(1, 1)
    assert (await client.receive())[1] == Performative.TRANSFER
    await client.close()


async def test_a_listen_key_of_one_queue_opens_nothing_else(namespace: Namespace) -> None:
    rule = AccessRule("reader", frozenset((Right.LISTEN,)), "listen-key", "second-key", 0, 0)
    namespace.bus.broker.create("q1", QueueSettings(), (rule,))
    namespace.bus.broker.create("q2", QueueSettings(), ())
    client = await RawClient.open(namespace.port)
    await client.begin()
    for resource, status in (("q1", 200), ("q2", 401), (HUB, 401)):
        token = sign(f"sb://localhost/{resource}", "listen-key", rule="reader")
        handles = (250, 251) if status == 200 else (252, 253)
        put = await client.put_token(f"sb://localhost/{resource}", token, handles=handles)
        assert put == status
        if status != 200:
            for handle in handles:
                client.send(1, Performative.DETACH, [UInt(handle), True, None])
    assert await client.attach(1, "amqps://localhost:5671/q1", receives=True) is None
    unauthorized = "amqp:unauthorized-access"
    assert await client.attach(2, "q1", receives=False) == unauthorized
    assert await client.attach(2, "q2", receives=True) == unauthorized
    assert await client.attach(2, PARTITION, receives=True) == unauthorized
    assert await client.attach(2, "$management", receives=True) == unauthorized
    await client.close()


async def test_sasl_plain_brings_a_rule_at_once(namespace: Namespace) -> None:
    for key, refused in ((KEY, None), ("wrong", "amqp:unauthorized-access")):
        client = await RawClient.connect(namespace.port)
        login = f"\0RootManageSharedAccessKey\0{key}".encode()
        init = [Symbol("PLAIN"), login, "localhost"]
        client.writer.write(SASL_HEADER + frame(0, Performative.SASL_INIT, init, kind=1))
        client.writer.write(AMQP_HEADER)
        client.send(0, Performative.OPEN, ["c", "localhost"])
        await client.exactly(8)
        assert [(await client.receive())[1] for _ in range(2)] == [0x40, 0x44]
        await client.exactly(8)
        await client.expect(Performative.OPEN)
        await client.begin()
        assert await client.attach(1, PARTITION, receives=True) == refused
        await client.close()


async def test_credit_is_kept_to_and_drain_gives_it_back(namespace: Namespace) -> None:
    address = fill(namespace, 5)
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, address, receives=True) is None
    client.flow(1, 2)
    assert [(await client.receive())[1] for _ in range(2)] == [Performative.TRANSFER] * 2
    client.flow(1, 10, count=2, drain=True)
    kinds = [await client.receive() for _ in range(4)]
    assert [kind[1] for kind in kinds] == [Performative.TRANSFER] * 3 + [Performative.FLOW]
    assert kinds[-1][2][5:7] == [12, 0]  # the count jumps ahead, no credit is left
    await client.close()


async def test_the_session_window_is_kept_to(namespace: Namespace) -> None:
    address = fill(namespace, 3, size=2000)
    client = await RawClient.open(namespace.port, max_frame=512)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, address, receives=True) is None
    client.flow(1, 100, seen=1, window=3)  # one response came before
    chunks = [await client.receive() for _ in range(3)]
    assert all(code == Performative.TRANSFER for _, code, _, _ in chunks)
    assert all(fields[5] is True for _, _, fields, _ in chunks)  # more
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.receive(), 0.3)
    client.flow(1, 100, seen=4, window=1000)
    bodies: list[bytes] = []
    payload = b"".join(chunk[3] for chunk in chunks)
    while len(bodies) < 3:
        _, _, fields, part = await client.expect(Performative.TRANSFER)
        payload += part
        if not fields[5]:
            bodies.append(payload)
            payload = b""
    assert all(body.endswith(data_section(b"x" * 2000)) for body in bodies)
    await client.close()


async def test_a_message_in_many_frames_arrives_whole(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, f"{HUB}/Partitions/0", receives=False) is None
    message = data_section(bytes(range(256)) * 400)
    for start in range(0, len(message), 1000):
        client.transfer(1, 1, message[start : start + 1000], more=start + 1000 < len(message))
    assert (await client.expect(Performative.DISPOSITION))[2][4].descriptor == 0x24
    assert await client.attach(2, PARTITION, receives=True) is None
    client.flow(2, 1, seen=1)
    received = b""
    while True:
        _, _, fields, part = await client.expect(Performative.TRANSFER)
        received += part
        if not fields[5]:
            break
    assert received.endswith(message)
    await client.close()


async def test_an_oversized_message_detaches_its_link_only(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, HUB, receives=False) is None
    for _ in range(18):
        client.transfer(1, 1, bytes(60_000), more=True)
    error = (await client.expect(Performative.DETACH))[2][2]
    assert error.value[0] == "amqp:link:message-size-exceeded"
    client.send(1, Performative.DETACH, [UInt(1), True, None])
    assert await client.attach(1, HUB, receives=False) is None
    await client.close()


async def test_a_malformed_message_is_rejected(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, HUB, receives=False) is None
    client.transfer(1, 1, b"\x00\x53\x99garbage")
    state = (await client.expect(Performative.DISPOSITION))[2][4]
    assert state.descriptor == 0x25
    assert state.value[0].value[0] == "amqp:decode-error"
    await client.close()


async def test_what_is_not_emulated_says_so(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    session_filter = {Symbol("com.microsoft:session-filter"): "s"}
    refused = await client.attach(1, PARTITION, receives=True, filters=session_filter)
    assert refused == "amqp:not-implemented"
    await client.close()


async def test_a_slow_reader_holds_nothing_in_memory(namespace: Namespace) -> None:
    address = fill(namespace, 600, size=50_000)  # 30 MB
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", root_token())
    assert await client.attach(1, address, receives=True) is None
    client.flow(1, 10_000, window=100_000)
    await asyncio.sleep(0.5)
    waiting = [
        connection._transport.get_write_buffer_size()
        for connection in namespace.server._connections
        if connection._transport is not None
    ]
    assert max(waiting) < 3 << 20
    for _ in range(600):
        await client.expect(Performative.TRANSFER)
    await client.close()


async def test_a_clean_goodbye(namespace: Namespace) -> None:
    client = await RawClient.open(namespace.port)
    await client.begin()
    client.send(1, Performative.END, [None])
    await client.expect(Performative.END)
    client.send(1, Performative.DETACH, [UInt(0), True, None])  # the SDKs do that
    client.send(0, Performative.CLOSE, [None])
    assert await client.closed() == "closed"
    assert await client.reader.read() == b""


async def test_open_limits_are_read(namespace: Namespace) -> None:
    client = await RawClient.connect(namespace.port)
    client.writer.write(AMQP_HEADER)
    client.send(0, Performative.OPEN, ["c", None, UInt(511), UShort(1)])
    assert await client.exactly(8) == AMQP_HEADER
    assert await client.closed() == "amqp:invalid-field"
