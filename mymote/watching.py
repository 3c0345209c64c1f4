"""`--watch`: a job until its end; a line for each step, and below them where it is now."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mymote import output, text
from mymote.failures import FAILED, INTERRUPTED, Failure
from mymote.output import Entity

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mymote.api import Api

LOOK_SECONDS = 0.5  # while something happens
LONGEST_PAUSE_SECONDS = 5.0  # a gateway may be away for days
BAR_WIDTH = 30  # columns
STATE_WIDTH = 17  # columns of "downloading 100 %"

_AWAITED = {
    "sent": "the gateway's answer",
    "accepted": "the download to begin",
    "downloading": "the download's progress",
    "installing": "the gateway to report the new version",
}
OPEN = ("queued", "sent", "accepted", "downloading", "installing")


def watch(api: "Api", job_id: str, *, as_json: bool) -> None:
    """Show a job until its end. Raises Failure unless that is `succeeded`.

    With `as_json`, the job is a line each time that it has changed.
    """
    try:
        job = _shown_to_its_end(api, job_id, as_json=as_json)
    except KeyboardInterrupt:
        raise Failure(
            f"The job goes on. `mymote job watch {job_id}` shows it again, "
            f"`mymote job cancel {job_id}` takes it back.",
            INTERRUPTED,
        ) from None
    if job["state"] != "succeeded":
        raise Failure(f"{title(job)} was not installed: {state_of(job)}.")


def title(job: Entity) -> str:
    """What it installs."""
    return text.line(f"{job['name']} {job['version']}")


def state_of(entity: Entity) -> str:
    """A job's or a step's state, for people."""
    return str(entity["state"]).replace("_", " ")


def outlook(job: Entity) -> str:
    """What an open job waits for, until when, and what comes then; "" where that is over."""
    until, state = job.get("answer_by"), job["state"]
    if state not in OPEN:
        return ""
    if job.get("retry_at"):
        return f"the next attempt, at {text.moment(job['retry_at'])}"
    if until:
        return f"{_AWAITED[state]}, until {text.moment(until)}; then it is tried again, or given up"
    if state == "queued" or not job.get("expires_at"):
        return ""
    return f"the gateway to connect, until {text.moment(job['expires_at'])}; then it is given up"


def line_of(step: Entity) -> str:
    """A step: when, what, why."""
    moment, state, reason = _cells(step)
    return f"{moment}  {state:<{STATE_WIDTH}}  {reason}".rstrip()


def _cells(step: Entity) -> tuple[str, str, str]:
    return text.moment(step["at"]), _how_far(step), text.line(step["reason"])


def _how_far(step: Entity) -> str:
    state = state_of(step)
    if step["state"] == "downloading":
        state += f" {step['percent']} %"
    return state


def _shown_to_its_end(api: "Api", job_id: str, *, as_json: bool) -> Entity:
    with _display(as_json=as_json) as show:
        for job in _looks(api, job_id):
            show(job)
    return job


def _looks(api: "Api", job_id: str) -> Iterator[Entity]:
    """The job each time that it has changed, its end last; an api that is away is waited for."""
    job: Entity = api.call("getJob", jobid=job_id)
    changed_at = time.monotonic()
    while True:
        yield job
        before = job
        while job == before:
            if job["state"] not in OPEN:
                return
            quiet = time.monotonic() - changed_at
            time.sleep(min(max(LOOK_SECONDS, quiet / 20), LONGEST_PAUSE_SECONDS))
            job = _look(api, job_id)
        changed_at = time.monotonic()


def _look(api: "Api", job_id: str) -> Entity:
    """An api that is away is waited for; that is said once."""
    said = False
    while True:
        try:
            job: Entity = api.call("getJob", jobid=job_id)
        except Failure as failure:
            if failure.status != FAILED:
                raise
            if not said:
                # Not by `output.note`, which would write into what is drawn live.
                print(f"{failure} Trying again.", file=sys.stderr, flush=True)
                said = True
            time.sleep(LONGEST_PAUSE_SECONDS)
        else:
            return job


@contextmanager
def _display(*, as_json: bool) -> Iterator[Callable[[Entity], None]]:
    if as_json:
        yield output.json_line
    elif sys.stdout.isatty():
        with _live() as show:
            yield show
    else:
        news = _News()
        yield lambda job: _print(news.of(job["steps"]))


class _News:
    """Tells which steps were not shown yet, or have come further: those then have that time."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}

    def of(self, steps: Iterable[Entity]) -> Iterator[Entity]:
        for step in steps:
            mark, percent = (step["at"], step["state"]), step["percent"]
            known = self._seen.get(mark)
            if known == percent:
                continue
            self._seen[mark] = percent
            yield step if known is None else {**step, "at": datetime.now(UTC).isoformat()}


def _print(steps: Iterable[Entity]) -> None:
    for step in steps:
        print(line_of(step), flush=True)


@contextmanager
def _live() -> Iterator[Callable[[Entity], None]]:
    """Steps that are over stand; the job's present state is drawn anew below them."""
    from rich.console import Console  # noqa: PLC0415 - it takes a tenth of a second
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    news, console = _News(), Console(highlight=False)
    since, now = "", Text()
    current: RenderableType = now

    def drawn() -> "RenderableType":
        now.plain = f" {_ago(since)}" if since else ""
        return current

    with Live(console=console, get_renderable=drawn, transient=True) as live:

        def show(job: Entity) -> None:
            nonlocal since, current
            is_open = job["state"] in OPEN
            over = list(news.of(job["steps"][:-1] if is_open else job["steps"]))
            since, current = job["state_at"], _present(job, now) if is_open else Text()
            live.refresh()
            if over:
                console.print(_table(over))

        yield show


def _table(steps: Iterable[Entity]) -> "RenderableType":
    """As `line_of`; a long reason goes on below its beginning."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=STATE_WIDTH)
    for step in steps:
        moment, state, reason = _cells(step)
        table.add_row(Text(moment), Text.from_ansi(text.coloured(state)), Text(reason))
    return table


def _ago(moment: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _present(job: Entity, since: "RenderableType") -> "RenderableType":
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    row = Table.grid(padding=(0, 1))
    cells: list[RenderableType] = [Spinner("dots"), Text(state_of(job), style="bold")]
    if job["state"] == "downloading":
        bar = ProgressBar(total=100, completed=job["percent"], width=BAR_WIDTH)
        cells += [bar, Text(f"{job['percent']:3} %")]
    # Beside a bar that moves there is no need of it, and no room.
    awaited = "" if job["state"] == "downloading" else outlook(job).partition(";")[0]
    why = text.line(job["reason"]) or (f"waits for {awaited}" if awaited else "")
    row.add_row(*cells, since, Text(why, style="dim"))
    return row
