"""`firmware` commands: what every account can install on its gateways of a type."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Annotated

import typer

from services.api.logic.ota import get_firmware
from services.api.operator.output import Row, print_fields, print_rows
from services.api.operator.runner import AsJson, fail, run
from services.api.resources import Resources
from services.api.store.ota import Binary
from shared.schemas.artifacts import FirmwareDocument

firmware_app = typer.Typer(
    no_args_is_help=True, help="The Iomote Core's own software, which all accounts share."
)

PIECE_BYTES = 64 * 1024
EXTENSION = ".bin"
COLUMNS = ("id", "type", "version", "name", "size", "created_at", "note")


@firmware_app.command("upload")
def firmware_upload(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="The .bin as it is built."),
    ],
    *,
    type_: Annotated[str, typer.Option("--type", help="The gateways it is for.")] = "X400",
    version: Annotated[str, typer.Option(help="a.b.c, each 0 to 255. It never changes.")],
    name: Annotated[str, typer.Option(help="The file's own, if absent.")] = "",
    note: Annotated[str, typer.Option(help="What is new, for people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Upload a firmware; every account can install it on its gateways of the type.

    It goes through the OTA service, whose address and key are MYMOTE_OTA_URL and MYMOTE_OTA_KEY.
    What is interrupted leaves nothing behind.

    Example: mymote-operator firmware upload build/x400.bin --version 2.5.0 --note "Saves power"
    """
    if file.suffix.lower() != EXTENSION:
        fail(f"{file.name} does not end in {EXTENSION}: is it the right file?", as_json=as_json)

    async def work(resources: Resources) -> FirmwareDocument:
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            # So that nothing else than this file is kept.
            md5 = hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).digest()
            source.seek(0)
            with _progress(size) as advance:
                pieces = _pieces(source, advance)
                binary = Binary(pieces, size, md5, version, name or file.name, note, type_)
                return await resources.ota.upload_firmware(binary)

    print_fields(_row(run(work, as_json=as_json)), as_json=as_json, said="Uploaded.")


@firmware_app.command("list")
def firmware_list(
    *,
    type_: Annotated[str, typer.Option("--type", help="For gateways of this type only.")] = "",
    as_json: AsJson = False,
) -> None:
    """All firmware, newest first."""
    found = run(lambda resources: resources.firmware.all(type_), as_json=as_json)
    empty = "No firmware yet; `mymote-operator firmware upload FILE --version A.B.C` adds one."
    print_rows([_row(each) for each in found], as_json=as_json, empty=empty)


@firmware_app.command("delete")
def firmware_delete(
    firmware_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Delete a firmware for ever; gateways that run it go on running it.

    Refused while it is being sent to a gateway.
    """

    async def work(resources: Resources) -> FirmwareDocument:
        found = await get_firmware(resources.firmware, firmware_id)
        await resources.ota.delete_firmware(firmware_id)
        return found

    print_fields(_row(run(work, as_json=as_json)), as_json=as_json, said="Deleted.")


async def _pieces(source: BufferedReader, advance: Callable[[int], None]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(source.read, PIECE_BYTES):
        yield piece
        advance(len(piece))


@contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where a person watches."""
    if not sys.stderr.isatty() or not size:
        yield lambda _bytes: None
        return
    with typer.progressbar(length=size, label="Uploading", file=sys.stderr) as shown:
        yield shown.update


def _row(firmware: FirmwareDocument) -> Row:
    """Its download key is not shown: whoever needs it reads it by the REST API."""
    shown: Row = firmware.model_dump(mode="json", include=set(COLUMNS))
    return {name: shown[name] for name in COLUMNS}
