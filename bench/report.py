"""The results as tables for people and as JSON for programs."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from io import StringIO

from rich.console import Console
from rich.table import Table

from bench.cases import BODY_BYTES, CASES, PASSES
from bench.costs import Cost, Idle
from bench.devices import REPEATS, DevicePages
from bench.downloads import PASSES as DOWNLOAD_PASSES
from bench.downloads import Downloads
from tests.load.devices import PAGE
from tests.load.many_accounts import Result

Say = Callable[[str], None]

WIDTH = 100


@dataclass
class Results:
    """What was measured; None or empty where it was not asked for."""

    machine: dict[str, str]
    costs: list[Cost] = field(default_factory=list)
    idle: Idle | None = None
    many: Result | None = None
    pages: DevicePages | None = None
    downloads: Downloads | None = None
    seconds: float = 0.0  # of the whole run


def as_json(results: Results) -> str:
    values = asdict(results)
    for shown, cost in zip(values["costs"], results.costs, strict=True):
        shown["ratio"] = cost.ratio
    if results.many:
        values["many"]["queue_connections"] = results.many.queue_connections
    return json.dumps(values, indent=2)


def as_text(results: Results) -> str:
    console = Console(file=StringIO(), width=WIDTH)
    console.print(" · ".join(f"{name} {value}" for name, value in results.machine.items()))
    if results.costs:
        _print_costs(console, results.costs)
    if results.idle:
        idle = results.idle
        console.print(
            f"Without messages ingest spends {idle.milliseconds:.1f} ms of CPU in a second, "
            f"with {idle.senders} senders open."
        )
    if results.many:
        _print_many(console, results.many)
    if results.pages:
        _print_pages(console, results.pages)
    if results.downloads:
        _print_downloads(console, results.downloads)
    console.print(f"\nAll of it took {results.seconds:.0f} s.")
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue().rstrip()


def _print_costs(console: Console, costs: list[Cost]) -> None:
    table = Table(title="\nCPU of ingest for each message", title_justify="left", show_lines=True)
    table.add_column("case", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for name in ("messages", "ingest µs", "bare µs", "ratio", "msg/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in costs:
        table.add_row(
            cost.case,
            cost.meaning,
            f"{cost.messages:,}",
            f"{cost.ingest_us:.0f}",
            "–" if cost.bare_us is None else f"{cost.bare_us:.0f}",
            "–" if cost.ratio is None else f"{cost.ratio:.2f}",
            f"{cost.per_second:.0f}",
        )
    console.print(table)
    console.print(
        f"Bodies of {BODY_BYTES} bytes, 4 partitions, one ingest process. ingest: user and system "
        "time of the process, which is ready and warm, halted while the messages are put into the "
        "stream by an Event Hubs producer with the annotations that IoT Hub gives. bare: a loop of "
        "the same SDKs in a process of its own, which receives the same events and sends as many "
        f"bytes, and does nothing else. Each is the lowest of {PASSES} passes, as what else runs "
        "on the machine only adds. msg/s: of ingest, while the local Azure shares the machine."
    )
    for case in CASES:
        console.print(
            f"  {case.name}: {case.accounts} accounts, gateways of each: {case.gateways}; "
            f"bare sends {case.sending.value}"
        )


def _print_many(console: Console, many: Result) -> None:
    table = Table(
        title=f"\n{many.accounts:,} accounts, one message each, while they are created",
        title_justify="left",
    )
    table.add_column("what it is")
    table.add_column("figure", justify="right")
    right = "every queue has its own message and no other"
    for name, value in (
        ("accounts created in a second, each with a gateway", f"{many.created_per_second:.1f}"),
        ("from the first account to the last message's commit", f"{many.done_seconds:.1f} s"),
        ("from the last account to the last message's commit", f"{many.behind_seconds:.1f} s"),
        ("messages in a second", f"{many.accounts / many.done_seconds:.1f}"),
        (
            "CPU of ingest for each account, its change feeds and idling too",
            f"{many.cpu_seconds / many.accounts * 1e6:.0f} µs",
        ),
        ("peak memory of ingest (RSS)", f"{many.peaks.memory_mib:.0f} MiB"),
        ("peak connections to Service Bus", f"{many.queue_connections}"),
        ("senders that ingest counts at the end", f"{many.senders}"),
        ("checked", "NOT RIGHT" if many.violations else right),
    ):
        table.add_row(name, value)
    console.print(table)
    for violation in many.violations:
        console.print(f"  {violation}", markup=False)


def _print_pages(console: Console, pages: DevicePages) -> None:
    table = Table(
        title=f"\nPages of the list of an account's {pages.devices:,} devices: alone, and among "
        f"{pages.platform:,}",
        title_justify="left",
    )
    table.add_column("page", no_wrap=True)
    table.add_column("what it is", ratio=1)
    for name in ("RU alone", "among", "ratio", "ms alone", "among", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in pages.costs:
        table.add_row(
            cost.page,
            cost.meaning,
            _figure(cost.charge_alone, 1),
            _figure(cost.charge_among, 1),
            _figure(cost.charge_ratio, 2),
            _figure(cost.ms_alone, 1),
            _figure(cost.ms_among, 1),
            _figure(cost.ms_ratio, 2),
        )
    console.print(table)
    console.print(
        f"Pages of {PAGE} devices. RU: the request charge that the local Cosmos DB reckons for the "
        "documents that it loads and returns, with strong consistency. ms: of the call, through "
        f"the api and back; the median of {REPEATS}, of long ones of fewer."
    )


def _print_downloads(console: Console, downloads: Downloads) -> None:
    table = Table(
        title=f"\nA file of {downloads.file_bytes:,} bytes for {downloads.gateways} readers at "
        "once",
        title_justify="left",
    )
    table.add_column("readers")
    for name in ("seconds", "MiB/s", "ratio", "CPU ms each"):
        table.add_column(name, justify="right", no_wrap=True)
    for speed in downloads.speeds:
        table.add_row(
            speed.reader,
            _figure(speed.seconds, 2),
            _figure(speed.mib_per_second, 0),
            _figure(speed.ratio, 2),
            _figure(speed.service_cpu_ms, 1),
        )
    console.print(table)
    console.print(
        f"Memory of the OTA service (RSS): {downloads.memory_before:.0f} MiB after the first "
        f"download, {downloads.memory_peak:.0f} MiB at most. The readers are one process, which "
        f"compares each file's hash; the best of {DOWNLOAD_PASSES} passes, in turn. ratio: of "
        "the throughput to that of the SDK. CPU: of the OTA service for each download."
    )


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
