"""Apps and firmware from the command line, with an OTA service; and the operator's commands."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.api.logic.ids import new_user_id
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.client.command_line import CommandLine
from tests.free_ports import free_ports
from tests.known_secrets import keep
from tests.rest.ota_service import DOWNLOAD_KEY, KEY, OtaService, serving

OPERATOR_KEY = secrets.token_hex(16)
BINARY = secrets.token_bytes(700_000)
SIG_MD5 = b64encode(hashlib.md5(BINARY).digest()).decode()


@pytest.fixture(scope="module")
async def url(stack: LocalStack, resources: Resources) -> AsyncIterator[str]:
    """Of an api that knows an OTA service and an operator."""
    keep(KEY, OPERATOR_KEY, DOWNLOAD_KEY)
    ota_port, api_port = free_ports(2)
    service = OtaService(resources, f"http://127.0.0.1:{ota_port}")
    extra = {
        "MYMOTE_OTA_URL": service.url,
        "MYMOTE_OTA_KEY": KEY,
        "MYMOTE_OPERATOR_KEY": OPERATOR_KEY,
    }
    async with serving(service):
        await stack.start_service("api-2", port=api_port, extra=extra)
        await stack.wait_ready("api-2")
        yield stack.url("api-2")
        await stack.processes["api-2"].stop()


@pytest.fixture
def mymote(url: str, alice: Customer, tmp_path: Path) -> CommandLine:
    (tmp_path / "pump.bin").write_bytes(BINARY)
    return CommandLine(
        tmp_path,
        {
            "MYMOTE_URL": url,
            "MYMOTE_USER_ID": alice.user_id,
            "MYMOTE_API_KEY": alice.api_key,
            "MYMOTE_OPERATOR_KEY": OPERATOR_KEY,
        },
    )


async def test_an_app_from_its_making_to_a_device(mymote: CommandLine, pump: Manufactured) -> None:
    app = (await mymote.well("app", "create", "Pump control"))["id"]
    upload = ("app", "upload", app, "pump.bin", "--version", "1.4.0", "--note", "quieter")
    watched = await mymote(*upload, columns=80)
    assert watched.status == 0, watched
    assert "100%" in watched.output
    (version,) = await mymote.well("app", "versions", app)
    assert (version["size"], version["sig_md5"]) == (len(BINARY), SIG_MD5)
    assert (version["name"], version["note"]) == ("pump.bin", "quieter")
    again = await mymote(*upload[:2], app[:8], *upload[3:], "--create")
    assert again.status == 5  # it is there, and a version never changes
    missing = await mymote("app", "upload", app, "none.bin", "--version", "1.4.1")
    assert (missing.status, "none.bin" in missing.errors) == (2, True)
    other = await mymote("app", "upload", app, "pump.hex", "--version", "1.4.1")
    assert (other.status, ".bin" in other.errors) == (2, True)
    wrong = await mymote("app", "upload", app, "pump.bin", "--version", "1.4")
    assert (wrong.status, "each 0 to 255" in wrong.errors) == (2, True)
    assert (await mymote.well("app", "edit", app, "--name", "Pumps"))["name"] == "Pumps"
    assert (await mymote.well("app", "show-version", app, version["id"])) == version
    ordered = await mymote.well("device", "app", "Pump", app, version["id"], "--yes")
    assert ordered["result"]
    await jobs_of(mymote, ordered["id"], app, version["id"])
    await mymote.well("app", "delete-version", app, version["id"], "--yes")
    await mymote.well("app", "delete", app, "--yes")
    assert (await mymote("app", "show", app)).status == 4


async def jobs_of(mymote: CommandLine, job_id: str, app_id: str, version_id: str) -> None:
    """Where an order is found, taken back and given again, by names."""
    listed = await mymote.well("job", "list", "--device", "Pump", "--state", "open")
    assert [each["id"] for each in listed] == [job_id]
    shown = await mymote("job", "show", job_id)
    assert (shown.status, "queued" in shown.output) == (0, True)
    assert (await mymote.well("job", "cancel", job_id[:8], "--yes"))["state"] == "cancelled"
    assert (await mymote("job", "cancel", job_id, "--yes")).status == 5
    watched = await mymote("job", "watch", job_id[:6])
    assert (watched.status, "Cancelled by first." in watched.output) == (1, True)
    again = await mymote.well("app", "send", "Pump", "Pumps", "1.4.0", "--yes")
    assert (await mymote.well("job", "show", again["id"]))["app_version_id"] == version_id
    none = await mymote("job", "show", _other(job_id[:8]))
    assert (none.status, "mymote job list" in none.errors) == (4, True)
    short = await mymote("job", "show", job_id[:5])
    assert (short.status, "first 6 characters" in short.errors) == (2, True)
    assert (await mymote("app", "send", "Pump", "Pumps", "9.9.9", "--yes")).status == 4
    assert (await mymote("app", "send", "Pump", "No app", "1.4.0", "--yes")).status == 4
    await mymote.well("app", "create", "Pumps")
    two = await mymote("app", "send", "Pump", "Pumps", "1.4.0", "--yes")
    assert (two.status, "means several" in two.errors) == (2, True)
    by_beginning = await mymote.well("app", "versions", app_id[:8])
    assert [each["id"] for each in by_beginning] == [version_id]
    table = await mymote("job", "list", "--kind", "app")
    assert re.search("Pumps +1.4.0", table.output)


def _other(beginning: str) -> str:
    return beginning[:-1] + ("0" if beginning[-1] != "0" else "1")


async def test_firmware_of_the_operator(mymote: CommandLine, pump: Manufactured) -> None:
    upload = ("operator", "upload-firmware", "pump.bin", "--type", "X400", "--version", "2.0.0")
    made = await mymote.well(*upload)
    assert made["sig_md5"] == SIG_MD5
    assert (await mymote.well("operator", "show-firmware", made["id"]))["id"] == made["id"]
    assert len(await mymote.well("operator", "list-firmware", "--type", "X400")) == 1
    assert [each["id"] for each in await mymote.well("firmware", "list")] == [made["id"]]
    assert (await mymote.well("firmware", "show", made["id"]))["version"] == "2.0.0"
    assert (await mymote.well("device", "firmware", "Pump", made["id"], "--yes"))["result"]
    by_version = await mymote.well("firmware", "send", "Pump", "2.0.0", "--yes")
    job = await mymote.well("job", "show", by_version["id"])
    assert (job["kind"], job["firmware_id"]) == ("firmware", made["id"])
    assert (await mymote("firmware", "send", "Pump", "2.0.1", "--yes")).status == 4
    await mymote.well("operator", "delete-firmware", made["id"], "--yes")
    assert await mymote.well("firmware", "list") == []


async def test_accounts_and_gateways_of_the_operator(mymote: CommandLine, url: str) -> None:
    user_id = new_user_id()
    made = await mymote.well("operator", "create-account", "Acme", "--user-id", user_id)
    assert made["user_id"] == user_id
    assert (await mymote.well("operator", "account", user_id))["username"] == "Acme"
    key = await mymote.well("operator", "create-key", user_id, "spare", "--scope", "admin")
    owner = {"MYMOTE_URL": url, "MYMOTE_USER_ID": user_id, "MYMOTE_API_KEY": key["api_key"]}
    assert (await CommandLine(mymote.folder, owner).well("whoami"))["scopes"] == ["admin"]
    assert "#" in (await mymote.well("operator", "invite", user_id, "--note", "Ada"))["link"]
    listed = await mymote.well("operator", "accounts", "--all")
    assert user_id in {each["user_id"] for each in listed}
    assert (await mymote.well("operator", "namespaces"))[0]["accounts"] >= 1
    (gateway,) = await mymote.well("operator", "manufacture")
    known = await mymote.well("operator", "gateways", "--all")
    assert gateway["device_id"] in {each["device_id"] for each in known}
    stranger = CommandLine(mymote.folder, {"MYMOTE_OPERATOR_KEY": "0" * 32})
    assert (await stranger("operator", "accounts", "--url", url)).status == 3
    unasked = await CommandLine(mymote.folder)("operator", "accounts", "--url", url)
    assert (unasked.status, "MYMOTE_OPERATOR_KEY" in unasked.errors) == (2, True)
