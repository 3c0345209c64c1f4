"""Faults that IoT Hub is told to make: it repeats events, and cuts off PUBACKs."""

from pathlib import Path
from typing import Any

from emulator.iothub.faults import FaultRates, Faults
from emulator.iothub.mqtt_packets import PubAck, Publish
from tests.emulator_iothub.iothub_harness import RawClient, running_hub

TOPIC = "devices/gateway/messages/events/$.mid="


def stream_of(rates: FaultRates, devices: list[str]) -> list[tuple[str, int]]:
    """What the stream has after each device named sent its next number."""
    stream: list[tuple[str, int]] = []

    def take(**event: Any) -> int:
        stream.append((event["partition_key"], event["body"][0]))
        return len(stream)

    append = Faults(rates).repeating(take)
    sent = dict.fromkeys(devices, 0)
    for device in devices:
        sent[device] += 1
        append(
            partition_key=device,
            body=bytes([sent[device]]),
            annotations={},
            application_properties={},
        )
    return stream


def test_a_devices_last_events_come_again_in_their_order() -> None:
    always = FaultRates(repeats=1, repeated_events=2, seed=1)
    numbers = [number for _, number in stream_of(always, ["a"] * 50)]
    both = 0
    for new in range(1, 51):
        assert numbers.pop(0) == new
        again = [new] if numbers[0] == new else [new - 1, new]
        assert [numbers.pop(0) for _ in again] == again
        both += len(again) == 2
    assert not numbers
    assert 10 < both < 40


def test_a_seed_makes_the_same_faults_whatever_other_devices_do() -> None:
    rates = FaultRates(repeats=0.3, seed=7)
    alone = stream_of(rates, ["a"] * 40)
    mixed = stream_of(rates, [device for _ in range(40) for device in ("a", "b")])
    assert [event for event in mixed if event[0] == "a"] == alone
    assert len(alone) > 40
    assert stream_of(FaultRates(repeats=0.3, seed=8), ["a"] * 40) != alone


def test_nothing_goes_wrong_unasked() -> None:
    assert len(stream_of(FaultRates(), ["a"] * 40)) == 40
    assert not any(Faults(FaultRates()).loses_puback("a") for _ in range(40))


async def test_a_publish_without_puback_is_stored_and_repeated_by_its_device(
    tmp_path: Path,
) -> None:
    faults = FaultRates(lost_pubacks=0.3, seed=3)
    cut = 0
    async with running_hub(tmp_path, faults=faults) as running:
        await running.create("gateway")
        client = await RawClient.open(running.mqtt_port)
        await client.connect()
        for mid in range(1, 21):
            while True:
                await client.write(Publish(f"{TOPIC}{mid}", b"x", 1, mid))
                answer = await client.read()
                if answer is not None:
                    break
                cut += 1
                client.close()
                client = await RawClient.open(running.mqtt_port)
                await client.connect()
            assert answer == PubAck(mid)
        client.close()
        mids = [event.message_id for event in running.telemetry()]
    assert cut > 2
    assert len(mids) == 20 + cut
    assert list(dict.fromkeys(mids)) == [str(mid) for mid in range(1, 21)]


async def test_repeats_keep_what_iot_hub_said_of_the_event(tmp_path: Path) -> None:
    async with running_hub(tmp_path, faults=FaultRates(repeats=1, repeated_events=1)) as running:
        await running.create("gateway")
        client = await RawClient.open(running.mqtt_port)
        await client.connect()
        await client.write(Publish(f"{TOPIC}1&$.ctime=2026-01-31T12:00:00Z", b"x", 1, 1))
        assert await client.read() == PubAck(1)
        client.close()
        first, again = running.telemetry()
    assert again == first
