"""The operator's tool: uploading, listing and deleting firmware, through the OTA service."""

import hashlib
from base64 import b64decode
from pathlib import Path

from services.ota.resources import Resources
from stack.environment import to_ota_environment
from stack.local import LocalStack
from tests.api.operators_tool import run
from tests.known_secrets import keep
from tests.ota.artifact_calls import blobs_of


async def test_firmware_by_the_operators_tool(
    stack: LocalStack, ota: Resources, tmp_path: Path
) -> None:
    extra = to_ota_environment(stack.endpoints)
    file, other = (tmp_path / name for name in ("core.bin", "core.hex"))
    body = bytes(range(256)) * 4000
    file.write_bytes(body)
    other.write_bytes(body)
    upload = ("--type", "X450", "--version", "3.1.4", "--note", "Saves power")

    refused = await run(stack, "firmware", "upload", str(other), *upload, extra=extra)
    assert (refused.status, ".bin" in refused.errors) == (1, True)
    refused = await run(stack, "firmware", "upload", str(file), *upload)
    assert (refused.status, "OTA service" in refused.errors) == (1, True)

    made = await run(stack, "firmware", "upload", str(file), *upload, "--json", extra=extra)
    assert made.status == 0, made
    firmware = made.value
    assert (firmware["name"], firmware["type"], firmware["size"]) == ("core.bin", "X450", len(body))
    held = await ota.stores.firmware.get(firmware["id"])
    assert held is not None
    keep(held.firmware.download_key)
    assert b64decode(held.firmware.sig_md5) == hashlib.md5(body).digest()

    listed = await run(stack, "firmware", "list", "--type", "X450", "--json")
    assert listed.value == [firmware]
    gone = await run(stack, "firmware", "delete", firmware["id"], extra=extra)
    assert (gone.status, "Deleted." in gone.output) == (0, True)
    assert await blobs_of(ota, held.firmware.filepath) == set()
