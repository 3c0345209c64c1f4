"""`mymote device pair` and `import`: gateways become the account's."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mymote import names, output, progress
from mymote.calling import calling
from mymote.failures import FAILED, Failure, usage
from mymote.options import AsJson, Location, secret
from mymote.output import Column

CHUNK = 25  # lines a call, so that progress shows
DEVICE_KEY = "MYMOTE_DEVICE_KEY"
REPORT = (
    Column("LINE", "line", right=True),
    Column("RESULT", "result"),
    Column("NAME", "name", cut=8),
    Column("DEVICE ID", "device_id"),
    Column("ERROR", "error", below=True),
)


def pair(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="It cannot be changed later.")],
    from_stdin: Annotated[
        bool,
        typer.Option(
            "--device-key-stdin",
            help=f"Read the device key from stdin; else from {DEVICE_KEY}, or it is asked for.",
        ),
    ] = False,
    location: Location = None,
    group: Annotated[str, typer.Option(help="Id or name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Pair a gateway with the account, by its device key; the gateway reboots.

    Example: mymote device pair --name "Pump 3" --location 41.890210,12.492231
    """
    key = secret(from_stdin, DEVICE_KEY, "Device key")
    with calling(context) as api:
        asked = {"device_key": key, "name": name, "location": location or ""}
        asked["group_id"] = names.group_id(api, group) if group else ""
        made = api.call("pairDevice", json=asked)
    if as_json:
        output.json_value(made)
        return
    output.note("Paired; the gateway reboots.")
    output.fields({"status": made["status"], **made["device"]})


def import_devices(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV; - is stdin.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look what would be done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pair many gateways, from a CSV file with the columns device_key, name, location, group.

    A line that fails stops no other. What is paired already is left alone, so an import that
    was cut off can be repeated as it is.
    """
    from mymote.api import Body  # noqa: PLC0415

    given = _read(file)
    query = {"dry_run": True} if dry_run else None
    report: list[dict[str, Any]] = []
    with calling(context) as api, progress.bar(len(given.records), "Pairing") as advance:
        for start in range(0, len(given.records), CHUNK):
            body = Body(given.part(start), "text/csv")
            lines = api.call("pairDevices", query=query, body=body)["lines"]
            report += lines
            advance(len(lines))
    if as_json:
        output.json_list(report)
    else:
        output.table(report, REPORT, "The file has no lines below its header.")
    if failed := sum(line["result"] == "failed" for line in report):
        others = "would be done; nothing is done yet" if dry_run else "are done"
        raise Failure(f"{failed} of {len(report)} lines failed; all others {others}.", FAILED)


class _File(NamedTuple):
    """A CSV file by its lines; a record may have several, within quotes."""

    header: str  # with all lines before it
    records: list[tuple[int, str]]  # the number of its first line, and what stands there

    def part(self, start: int) -> bytes:
        """Some records, at the places that they have in the file, so that reports name these."""
        text = self.header
        line = text.count("\n") + 1
        for number, record in self.records[start : start + CHUNK]:
            text += "\n" * (number - line) + record
            line = number + record.count("\n")
        return text.encode()


def _read(file: str) -> _File:
    try:
        raw = typer.get_binary_stream("stdin").read() if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise usage(f"{file} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise usage(f"{file} is not UTF-8; save it as CSV UTF-8.") from None
    lines = list(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")))
    try:
        records = list(_records(lines))
    except csv.Error as error:
        raise usage(f"{file} is no CSV: {error}.") from None
    if not records:
        raise usage(f"{file} is empty; its first line is device_key,name,location,group.")
    (number, header), *rest = records
    return _File("\n" * (number - 1) + header, rest)


def _records(lines: list[str]) -> Iterator[tuple[int, str]]:
    delimiter = ";" if ";" in next((line for line in lines if line.strip()), "") else ","
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begin = 0
    for row in reader:
        if any(field.strip() for field in row):
            yield begin + 1, "".join(lines[begin : reader.line_num])
        begin = reader.line_num
