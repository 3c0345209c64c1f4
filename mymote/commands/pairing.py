"""`mymote device pair` and `import`: gateways become the account's."""

import csv
import io
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mymote import names, output, progress
from mymote.calling import calling
from mymote.failures import FAILED, Failure, usage
from mymote.options import AsJson, Location, secret
from mymote.output import Column

if TYPE_CHECKING:
    from mymote.api import Api

CHUNK = 25  # lines a call, so that progress shows
DEVICE_KEY = "MYMOTE_DEVICE_KEY"
REPORT = (
    Column("LINE", "line", right=True),
    Column("RESULT", "result"),
    Column("NAME", "name"),
    Column("DEVICE ID", "device_id", whole=True),
    Column("ERROR", "error", whole=True),
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
    lines = _read(file)
    report: list[dict[str, Any]] = []
    with calling(context) as api, progress.bar(len(lines.rows), "Pairing") as advance:
        for start in range(0, len(lines.rows), CHUNK):
            report += _import(api, lines, start, dry_run=dry_run)
            advance(len(lines.rows[start : start + CHUNK]))
    if as_json:
        output.json_list(report)
    else:
        output.table(report, REPORT, "The file has no lines below its header.")
    if failed := sum(line["result"] == "failed" for line in report):
        raise Failure(f"{failed} of {len(report)} lines failed; all others are done.", FAILED)


class _Lines(NamedTuple):
    header: list[str]
    rows: list[list[str]]
    numbers: list[int]  # of the line in the file that each row begins on


def _read(file: str) -> _Lines:
    try:
        raw = typer.get_binary_stream("stdin").read() if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise usage(f"{file} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise usage(f"{file} is not UTF-8; save it as such.") from None
    first = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True
    )
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        begins = 1
        for row in reader:
            if row:
                rows.append(row)
                numbers.append(begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise usage(f"{file}, line {reader.line_num}: {error}.") from None
    if not rows:
        raise usage(f"{file} is empty; its first line is device_key,name,location,group.")
    return _Lines(rows[0], rows[1:], numbers[1:])


def _import(api: "Api", lines: _Lines, start: int, *, dry_run: bool) -> list[dict[str, Any]]:
    from mymote.api import Body  # noqa: PLC0415

    text = io.StringIO(newline="")
    csv.writer(text).writerows([lines.header, *lines.rows[start : start + CHUNK]])
    reply = api.call(
        "pairDevices",
        query={"dry_run": True} if dry_run else None,
        body=Body(text.getvalue().encode(), "text/csv"),
    )
    # In the order of the lines sent; people look for them in their own file.
    return [
        {**line, "line": number}
        for line, number in zip(reply["lines"], islice(lines.numbers, start, None), strict=False)
    ]
