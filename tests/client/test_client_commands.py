"""Each noun's commands against the running api, as programs (--json) and as people see them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer, new_gateway
from tests.client.command_line import CommandLine, of
from tests.rest.records import put_notifications


@pytest.fixture
def mymote(stack: LocalStack, alice: Customer, tmp_path: Path) -> CommandLine:
    return of(stack, alice, tmp_path)


@pytest.fixture
async def carol(
    stack: LocalStack, resources: Resources, tmp_path: Path
) -> tuple[CommandLine, Customer]:
    """An account of this test alone."""
    customer = await new_customer(resources)
    return of(stack, customer, tmp_path), customer


async def test_what_the_contract_tells_of_a_device(mymote: CommandLine, pump: Manufactured) -> None:
    listed = await mymote.well("device", "list")
    assert [each["device"]["device_id"] for each in listed] == [pump.device_id]
    shown = await mymote.well("device", "show", "Pump")
    assert shown == listed[0]
    assert shown["device"]["device_key"] == pump.device_key
    assert await mymote.well("device", "status", pump.device_id[:12]) == {
        "connectionState": "Disconnected"
    }
    assert (await mymote.well("device", "stats", "Pump"))["msg_tot"] == 0
    assert await mymote.well("device", "list", "--search", "nothing like it") == []
    assert await mymote.well("device", "list", "--firmware", "0.0.1") == []
    filtered = ("device", "list", "--status", "Disconnected", "--sort", "-paired_at")
    assert await mymote.well(*filtered) == listed


async def test_a_devices_settings_and_past(mymote: CommandLine, pump: Manufactured) -> None:
    arguments = ("device", "settings", "Pump", "--set", "interval=60", "--set", "limits.high=8.5")
    changed = await mymote.well(*arguments, "--set", "mode=eco")
    assert changed["settings"] == {"interval": 60, "limits": {"high": 8.5}, "mode": "eco"}
    await mymote.well("device", "settings", "Pump", "--unset", "mode", "--unset", "limits")
    read = await mymote.well("device", "settings", "Pump")
    assert read["settings"] == {"interval": 60}
    by_file = ("device", "settings", "Pump", "--file", "-")
    assert (await mymote.well(*by_file, stdin='{"interval": null}'))["settings"] == {}
    conflict = await mymote("device", "settings", "Pump", "--set", "a=1", "--if-match", "other")
    assert conflict.status == 5
    assert (await mymote.well("device", "properties", "Pump"))["device_id"] == pump.device_id
    events = [each["event"] for each in await mymote.well("device", "timeline", "Pump")]
    assert "settings_changed" in events


async def test_groups_from_making_to_deleting(
    carol: tuple[CommandLine, Customer], stores: pairing.Stores
) -> None:
    mymote, _ = carol
    made = await mymote.well("group", "create", "pumps", "--client", "Acme")
    other = await mymote.well("group", "create", "others")
    assert made["client_name"] == "Acme"
    gateway = await new_gateway(stores)
    paired = await mymote(
        *("device", "pair", "--name", "P1", "--group", "pumps", "--device-key-stdin"),
        stdin=f"{gateway.device_key}\n",
    )
    assert paired.status == 0, paired
    assert "the gateway reboots" in paired.errors
    assert len(await mymote.well("group", "devices", "pumps")) == 1
    assert (await mymote.well("group", "edit", "pumps", "--email", "a@example.com"))["email"]
    assert (await mymote.well("group", "show", made["id"]))["email"] == "a@example.com"
    assert (await mymote("group", "delete", "pumps", "--yes")).status == 5
    await mymote.well("group", "delete", "pumps", "--move-to", "others", "--yes")
    assert [each["id"] for each in await mymote.well("group", "list")] == [other["id"]]
    listed = await mymote.well("device", "list", "--group", "others")
    assert listed[0]["device"]["group_id"] == other["id"]
    await mymote.well("device", "edit", "P1", "--group", "", "--location", "1.5,2.5")
    shown = (await mymote.well("device", "show", "P1"))["device"]
    assert (shown["group_id"], shown["location"]) == ("", "1.5,2.5")
    await mymote.well("device", "delete", "P1", "--with-history", "--yes")
    assert await mymote.well("device", "list") == []


async def test_an_import_reports_the_files_own_lines(
    carol: tuple[CommandLine, Customer], stores: pairing.Stores
) -> None:
    mymote, _ = carol
    gateways = [await new_gateway(stores) for _ in range(2)]
    lines = ["device_key;name", "", *(f"{each.device_key};G" for each in gateways)]
    # More than one call takes, after which comes a broken line and a record of two lines.
    lines += [f"{number};short" for number in range(30)]
    lines += ['"', '";two lines', f"{gateways[0].device_key};again"]
    file = mymote.folder / "fleet.csv"
    file.write_text("\r\n".join(lines))
    dry = await mymote("device", "import", str(file), "--dry-run", "--json")
    assert dry.status == 1
    assert "nothing is done yet" in dry.errors
    seen = await mymote("device", "import", str(file), "--dry-run", columns=80)
    assert "  A device key is 64 letters and digits; it is printed on the gateway." in seen.output
    assert [line["result"] for line in dry.value[:2]] == ["valid", "valid"]
    done = await mymote("device", "import", str(file), "--json")
    assert "of 34 lines failed" in done.errors
    numbers = [3, 4, *range(5, 35), 35, 37]
    assert [line["line"] for line in done.value] == numbers
    assert [line["result"] for line in done.value[:2]] == ["paired", "paired"]
    assert done.value[-1]["result"] == "already"
    for each in gateways:
        assert each.device_key not in done.output + done.errors


async def test_user_messages(mymote: CommandLine, pump: Manufactured) -> None:
    sent = await mymote.well("device", "send", "Pump", '{"setpoint": 21.5}', "--expires", "1h")
    assert sent["result"] == "queued"
    shown = await mymote.well("message", "show", "Pump", sent["id"])
    assert shown["state"] in ("waiting", "sent")
    text = await mymote.well("message", "send", "Pump", "--text", 'say "hi"')
    listed = await mymote.well("device", "messages", "Pump")
    assert {each["id"] for each in listed} >= {sent["id"], text["id"]}
    cancelled = await mymote("message", "cancel", "Pump", sent["id"], "--yes")
    assert cancelled.status == 0, cancelled
    found = await mymote.well("message", "list", "Pump", "--state", "cancelled")
    assert sent["id"] in [each["id"] for each in found]
    refused = await mymote("device", "send", "Pump", "{setpoint: 21.5}")
    assert refused.status == 2
    assert "--text" in refused.errors
    order = await mymote("device", "reboot", "Pump", "--yes")
    assert order.status == 5  # it is not connected
    assert order.errors.strip()


async def test_notifications(carol: tuple[CommandLine, Customer], resources: Resources) -> None:
    mymote, customer = carol
    made = await put_notifications(resources, customer.user_id, 230)
    listed = await mymote.well("notifications", "--limit", "3")
    assert [each["id"] for each in listed] == [each.id for each in made[:-4:-1]]
    assert len(await mymote.well("notifications", "--all")) == 230
    assert (await mymote.well("notification", "show", made[0].id))["text"] == "number 0"
    one = await mymote.well("notification", "ack", made[0].id)
    assert one["state"] == "acknowledged"
    many = await mymote.well("notification", "ack", "-", stdin="\n".join(e.id for e in made))
    assert many == {"changed": 229, "unchanged": 1, "missing": 0}
    until = made[10].enqueued_at.astimezone(UTC).isoformat()
    cleared = await mymote.well("notification", "clear", "--all", "--until", until, "--yes")
    assert cleared["changed"] == 10
    counts = await mymote.well("notification", "count")
    assert counts["cleared"]["total"] == 10
    assert (await mymote("notification", "clear", "--all")).status == 2  # nobody there to agree
    assert (await mymote("notification", "clear")).status == 2


async def test_keys_and_the_profile(carol: tuple[CommandLine, Customer]) -> None:
    mymote, _ = carol
    made = await mymote.well("key", "create", "billing", "--scope", "read", "--expires", "30d")
    ends = datetime.fromisoformat(made["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    renewed = await mymote.well("key", "renew", made["id"], "--overlap", "1d")
    assert (await mymote.well("key", "show", made["id"]))["replaced_by"] == renewed["id"]
    edited = await mymote.well("key", "edit", renewed["id"], "--expires", "", "--name", "bills")
    assert (edited["name"], edited["expires_at"]) == ("bills", None)
    await mymote.well("key", "revoke", made["id"], "--yes")
    assert len(await mymote.well("key", "list")) == 2
    assert (await mymote.well("account", "edit", "--company", "Acme"))["company"] == "Acme"
    assert (await mymote.well("account", "show"))["company"] == "Acme"
    assert (await mymote("account", "edit")).status == 2
    before = (await mymote.well("queue", "show"))["connection_string"]
    renewed_queue = await mymote.well("queue", "renew", "--yes")
    assert renewed_queue["connection_string"] != before
    reader = CommandLine(mymote.folder, {**mymote.environment, "MYMOTE_API_KEY": made["api_key"]})
    assert (await reader("device", "list")).status == 3  # revoked


async def test_what_is_not_there_or_not_allowed(
    mymote: CommandLine, pump: Manufactured, carol: tuple[CommandLine, Customer]
) -> None:
    unknown = await mymote("device", "status", "nothing of that name")
    assert (unknown.status, unknown.output) == (4, "")
    assert "device list" in unknown.errors
    foreign = await carol[0]("device", "show", pump.device_id)
    assert foreign.status == 4
    key = await mymote.well("key", "create", "reader")
    reader = CommandLine(mymote.folder, {**mymote.environment, "MYMOTE_API_KEY": key["api_key"]})
    refused = await reader("device", "edit", pump.device_id, "--location", "1,2")
    assert refused.status == 3
    assert "'write'" in refused.errors
    assert (await mymote("parked", "discard", "no-such-id", "--yes")).status == 4
    assert await mymote.well("parked", "list") == []
    assert (await mymote.well("parked", "redeliver", "--all"))["done"] == 0
    assert (await mymote("app", "show", "none")).status == 4
    assert await mymote.well("app", "list") == []
    assert await mymote.well("firmware", "list") == []
    assert (await mymote("app", "create", "Pump control")).status == 1  # no OTA service here


async def test_any_call(mymote: CommandLine, alice: Customer) -> None:
    ran = await mymote("call", "get", "/account", "-i")
    assert ran.output.startswith("200 OK\n")
    assert "etag: " in ran.output
    assert json.loads(ran.output.partition("\n\n")[2])["user_id"] == alice.user_id
    body = ("--data", '{"telephone": "1"}')
    assert json.loads((await mymote("call", "PATCH", "/account", *body)).output)["telephone"] == "1"
    assert (await mymote("call", "GET", "/nothing/here")).status == 4
    assert (await mymote("call", "GET", "devices")).status == 2


async def test_a_table_fits_the_terminal_and_cuts_no_id(
    carol: tuple[CommandLine, Customer], stores: pairing.Stores
) -> None:
    mymote, customer = carol
    gateway = await new_gateway(stores)
    name = "A very long name, 世界, for a pump \x1b[2J"
    await pairing.pair(
        stores, pairing.PairingRequest(customer.user_id, gateway.device_key, "x" * 60, "", "")
    )
    await mymote.well("group", "create", name.replace("\x1b", ""))
    for columns in (80, 120):
        ran = await mymote("device", "list", columns=columns)
        assert ran.status == 0, ran
        assert gateway.device_id in ran.output
        assert max(len(line) for line in ran.output.splitlines()) <= columns
    piped = await mymote("device", "list")
    assert "x" * 60 in piped.output
    assert gateway.device_id in piped.output
