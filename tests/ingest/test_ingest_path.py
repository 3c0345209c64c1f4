"""From a gateway over MQTT to its owner's queue and documents, on the real protocols."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.database import NOTIFICATIONS, PARKED, TIMELINE
from shared.schemas.contract import ConnectionState
from tests.ingest.local_platform import Platform, body_of, eventually, properties_of, receive

EVERY_BYTE = bytes(range(256))


async def test_data_reaches_its_owner_byte_for_byte_in_order(platform: Platform) -> None:
    alice, bob = await platform.owner(), await platform.owner()
    pump, fan = await platform.gateway(alice, "Pump"), await platform.gateway(alice, "Fan")
    boiler = await platform.gateway(bob, "Boiler")
    async with pump, fan, boiler:
        for n in range(30):
            pump.send(EVERY_BYTE + bytes([n]), user_route="north", **{"$.ct": "text/csv"})
            fan.send(f"fan {n}".encode())
            boiler.send(b"\x00" * 3750)
        for gateway in (pump, fan, boiler):
            await gateway.delivered()
        messages = await receive(alice, 60)
        others = await receive(bob, 30)
    assert len(messages) == 60
    of_pump = [each for each in messages if properties_of(each)["device_name"] == "Pump"]
    assert [body_of(each) for each in of_pump] == [EVERY_BYTE + bytes([n]) for n in range(30)]
    assert {each.content_type for each in of_pump} == {"text/csv"}
    of_fan = [each for each in messages if properties_of(each)["device_name"] == "Fan"]
    assert [body_of(each) for each in of_fan] == [f"fan {n}".encode() for n in range(30)]
    assert [body_of(each) for each in others] == [b"\x00" * 3750] * 30
    properties = properties_of(of_pump[4])
    created = datetime.fromisoformat(properties.pop("iothub-creation-time-utc"))
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    assert properties == {
        "iothub-connection-device-id": pump.device_id,
        "device_name": "Pump",
        "mid": "5",
        "user_route": "north",
    }
    ledger = await platform.counted(alice, pump, 30)
    assert (ledger.bytes, ledger.highest_mid) == (30 * 257, 30)


async def test_notifications_timeline_and_malformed_messages(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner, "Pump")
    async with gateway:
        gateway.send("Überhitzt".encode(), type="notification", level="3")
        gateway.send(b'{"event":"app_restarted","detail":"watchdog"}', type="management")
        gateway.send(b"x" * 3751)
        gateway.send(b"\xff\xfe", type="notification", level="1")
        gateway.send(b"x", type="picture")
        gateway.send(b"good")
        await gateway.delivered()
        (message,) = await receive(owner, 1)
    assert body_of(message) == b"good"

    await platform.counted(owner, gateway, 2)  # all that comes of them is done before
    (notification,) = await platform.all_of(NOTIFICATIONS.name, owner.user_id)
    assert (notification["text"], notification["level"]) == ("Überhitzt", 3)
    assert notification["device_name"] == "Pump"
    entries = await platform.all_of(TIMELINE.name, gateway.device_id)
    (entry,) = [each for each in entries if each["event"] not in ("connected", "disconnected")]
    assert (entry["event"], entry["detail"]) == ("app_restarted", "watchdog")
    assert entry["user_id"] == owner.user_id
    parked = await platform.all_of(PARKED.name, owner.user_id)
    assert {each["reason"] for each in parked} == {"malformed"}
    details = sorted(each["detail"] for each in parked)
    assert [detail[:22] for detail in details] == [
        "3751 bytes; a data mes",
        "a notification is not ",
        "type 'picture' is none",
    ]
    assert b"\xff\xfe" in {base64.b64decode(each["body"]) for each in parked}


async def test_a_publish_that_is_repeated_goes_out_once(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    async with gateway:
        for mid in ("1", "2", "1", "2", "3", "3"):
            gateway.send(mid.encode(), mid=mid)
        gateway.send(b"free", mid="not a number")
        gateway.send(b"free", mid="")
        await gateway.delivered()
        messages = await receive(owner, 5)
    assert [body_of(each) for each in messages] == [b"1", b"2", b"3", b"free", b"free"]


async def test_above_the_quota_messages_are_parked(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    today = datetime.now(UTC).isoformat()  # whatever day it is at the last of them
    async with gateway:
        for n in range(103):
            gateway.send(f"{n}".encode(), **{"$.ctime": today})
        await gateway.delivered()
        messages = await receive(owner, 100)
    assert [body_of(each) for each in messages] == [f"{n}".encode() for n in range(100)]

    async def parked() -> list[dict[str, Any]] | None:
        found = await platform.all_of(PARKED.name, owner.user_id)
        return found if len(found) == 3 else None

    assert {each["reason"] for each in await eventually(parked)} == {"over_quota"}


async def test_state_is_in_the_devices_document_before_a_later_message_is_counted(
    platform: Platform,
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    reported: Mapping[str, object] = {
        "fwversion": "2.1.0",
        "app_name": "meter",
        "app_version": "1.0.9",
        "connectivity": "ethernet",
        "ICCID": "8939",
        "type": "X400",
        "other": 5,
    }

    async def state(status: ConnectionState, firmware: str) -> bool:
        document = await platform.document(owner, gateway)
        return (document.status, document.fwversion) == (status, firmware)

    async with gateway:
        for count, values in enumerate((reported, {"fwversion": "2.2.0"}), start=1):
            gateway.report(values)
            gateway.send(b"later")
            await platform.counted(owner, gateway, count)
            assert await state(ConnectionState.CONNECTED, str(values["fwversion"]))
    await eventually(lambda: state(ConnectionState.DISCONNECTED, "2.2.0"))

    async def told() -> bool:
        entries = await platform.all_of(TIMELINE.name, gateway.device_id)
        assert {each["user_id"] for each in entries} <= {owner.user_id}
        entries.sort(key=lambda each: str(each["enqueued_at"]))
        return [each["event"] for each in entries] == ["connected", "disconnected"]

    assert await eventually(told)
    document = await platform.document(owner, gateway)
    assert (document.app_name, document.app_version) == ("meter", "1.0.9")
    assert (document.connectivity, document.ICCID) == ("ethernet", "8939")
    assert document.stat_device_id.endswith(gateway.device_id)


async def test_a_gateway_that_changes_hands_while_it_sends(platform: Platform) -> None:
    first, second = await platform.owner(), await platform.owner()
    gateway = await platform.gateway()
    async with gateway:
        gateway.send(b"nobody's")
        await gateway.delivered()
        await platform.pair(gateway, first)
        gateway.send(b"first")
        await gateway.delivered()
        await platform.unpair(gateway, first)
        gateway.send(b"between")
        await gateway.delivered()
        await platform.pair(gateway, second)
        stored_before = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        gateway.send(b"stored before", **{"$.ctime": stored_before})
        gateway.send(b"second")
        await gateway.delivered()
        assert [body_of(each) for each in await receive(second, 1)] == [b"second"]
        # What nobody owned is the first owner's; what a later one may not have is nobody's.
        assert [body_of(each) for each in await receive(first, 2)] == [b"nobody's", b"first"]
    await platform.counted(second, gateway, 1)
