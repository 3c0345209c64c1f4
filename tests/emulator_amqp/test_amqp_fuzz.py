"""Whatever arrives, the server answers or closes, never fails, and serves its other clients."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.amqp.frames import AMQP_HEADER, SASL_HEADER, Performative, frame
from emulator.amqp.message import (
    Properties,
    application_properties_section,
    data_section,
    properties_section,
    value_section,
)
from emulator.amqp.types import Described, Symbol, UByte, UInt, ULong, UShort
from tests.emulator_amqp.amqp_client import RawClient, sign
from tests.emulator_amqp.amqp_namespace import HUB, KEY, Namespace, close_namespace, open_namespace

LOGIN = f"\0RootManageSharedAccessKey\0{KEY}".encode()
OPENING = (
    SASL_HEADER + frame(0, Performative.SASL_INIT, [Symbol("PLAIN"), LOGIN], kind=1) + AMQP_HEADER
)
SOURCE = Described(ULong(0x28), [f"{HUB}/ConsumerGroups/$Default/Partitions/0"] + [None] * 10)
TARGET = Described(ULong(0x29), [f"{HUB}/Partitions/0"] + [None] * 6)
ACCEPTED = Described(ULong(0x24), [])
CBS = Described(ULong(0x29), ["$cbs"])
TOKEN = (
    properties_section(Properties(message_id="1"))
    + application_properties_section({"operation": "put-token", "name": "sb://localhost"})
    + value_section(sign("sb://localhost", KEY))
)
FRAMES = [
    frame(0, Performative.OPEN, ["c", None, UInt(1000), UShort(9), UInt(1000)]),
    frame(1, Performative.BEGIN, [None, UInt(0), UInt(9), UInt(9), UInt(9)]),
    frame(
        1, Performative.ATTACH, ["t", UInt(0), False, None, None, None, CBS, None, None, UInt(0)]
    ),
    frame(1, Performative.ATTACH, ["u", UInt(1), True, None, None, CBS, CBS]),
    frame(1, Performative.FLOW, [UInt(0), UInt(9), UInt(0), UInt(9), UInt(1), UInt(0), UInt(9)]),
    frame(1, Performative.TRANSFER, [UInt(0), UInt(0), b"t", UInt(0)], payload=TOKEN),
    frame(1, Performative.ATTACH, ["r", UInt(2), True, UByte(0), None, SOURCE, TARGET]),
    frame(1, Performative.ATTACH, ["s", UInt(3), False, None, None, SOURCE, TARGET, *[None] * 2]),
    frame(1, Performative.FLOW, [UInt(0), UInt(9), UInt(0), UInt(9), UInt(2), UInt(0), UInt(9)]),
    frame(1, Performative.TRANSFER, [UInt(3), UInt(1), b"t", UInt(0)], payload=data_section(b"x")),
    frame(1, Performative.TRANSFER, [UInt(3), UInt(2), b"t", None, None, True], payload=b"\0Sr"),
    frame(1, Performative.DISPOSITION, [True, UInt(0), UInt(2**32 - 1), False, ACCEPTED]),
    frame(1, Performative.DETACH, [UInt(2), True]),
    frame(1, Performative.END, []),
    frame(0, Performative.CLOSE, []),
]

fuzz = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A row of good frames, some left out, some repeated, a few bytes changed."""
    order = draw(st.lists(st.integers(0, len(FRAMES) - 1), max_size=20))
    frames = [FRAMES[0], FRAMES[1]] * draw(st.booleans())
    stream = bytearray(OPENING + b"".join([*frames, *(FRAMES[index] for index in sorted(order))]))
    for _ in range(draw(st.integers(0, 6))):
        position = draw(st.integers(0, len(stream) - 1))
        stream[position] = draw(st.integers(0, 255))
    return bytes(stream[: draw(st.integers(0, len(stream)))])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, asyncio.Runner]]:
    """A loop of its own: hypothesis drives plain functions."""
    with asyncio.Runner() as runner:
        yield tmp_path_factory.mktemp("fuzz") / "store.db", runner


class Rig:
    """A namespace with a good client whose traffic must go on, whatever others send."""

    def __init__(self, namespace: Namespace, good: RawClient) -> None:
        self.namespace = namespace
        self.good = good
        self.sent = 0

    @classmethod
    async def create(cls, path: Path) -> "Rig":
        namespace = await open_namespace(path)
        good = await RawClient.open(namespace.port)
        await good.authorized("sb://localhost", sign("sb://localhost", KEY))
        assert await good.attach(1, f"{HUB}/Partitions/1", receives=False) is None
        return cls(namespace, good)

    async def survive(self, stream: bytes) -> None:
        """Send the stream; the server must answer, close or wait; the good client gets on."""
        bad = await RawClient.connect(self.namespace.port)
        bad.writer.write(stream)
        bad.writer.write_eof()
        async with asyncio.timeout(30):
            while await bad.reader.read(65536):
                pass
        await bad.close()
        self.sent += 1
        self.good.transfer(1, self.sent, data_section(b"good"))
        state = (await self.good.expect(Performative.DISPOSITION))[2][4]
        assert state.descriptor == 0x24


@pytest.fixture(scope="module")
def rig(fuzzed: tuple[Path, asyncio.Runner]) -> Iterator[Rig]:
    path, runner = fuzzed
    made = runner.run(Rig.create(path))
    yield made
    runner.run(made.good.close())
    runner.run(close_namespace(made.namespace))


def check(
    fuzzed: tuple[Path, asyncio.Runner], rig: Rig, caplog: pytest.LogCaptureFixture, stream: bytes
) -> None:
    caplog.clear()
    caplog.set_level(logging.INFO)
    fuzzed[1].run(rig.survive(stream))
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name == "asyncio"]
    assert len(caplog.records) <= 1 + stream.count(b"\x00\x53\x12") + stream.count(b"\x00\x53\x11")


@fuzz
@given(stream=mutated())
def test_mutated_frames(
    fuzzed: tuple[Path, asyncio.Runner], rig: Rig, caplog: pytest.LogCaptureFixture, stream: bytes
) -> None:
    check(fuzzed, rig, caplog, stream)


@fuzz
@given(stream=st.binary(max_size=500), opening=st.sampled_from([b"", SASL_HEADER, OPENING]))
def test_random_bytes(
    fuzzed: tuple[Path, asyncio.Runner],
    rig: Rig,
    caplog: pytest.LogCaptureFixture,
    stream: bytes,
    opening: bytes,
) -> None:
    check(fuzzed, rig, caplog, opening + stream)


def test_the_good_frames_are_good(
    fuzzed: tuple[Path, asyncio.Runner], rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """What is mutated reaches deep: unchanged, it opens links and delivers an event."""
    before = rig.namespace.hubs._hubs[HUB].partition("0").last.sequence
    check(fuzzed, rig, caplog, OPENING + b"".join(FRAMES[:10]) + FRAMES[11])
    assert rig.namespace.hubs._hubs[HUB].partition("0").last.sequence > before
