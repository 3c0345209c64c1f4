"""`mymote job …`: orders over the air, how far each is and why."""

from enum import StrEnum
from typing import Annotated

import typer

from mymote import complete, names, output, watching
from mymote.calling import calling
from mymote.options import AsJson, Everything, Limit, OfDevice, Yes, agreed, bound
from mymote.output import Column

app = typer.Typer(no_args_is_help=True, help="Orders over the air, how far each is and why.")

JOBS = (
    Column("JOB ID", "id", keep=True),
    Column("NAME", "name", cut=6),
    Column("VERSION", "version"),
    Column("STATE", watching.state_of),
    Column("DEVICE ID", "device_id", cut=10),
    Column("SINCE", output.time_of("state_at")),
    Column("REASON", "reason", below=True),
)

JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB_ID",
        help="As `job list` shows it, or its first six characters or more.",
        autocompletion=complete.open_jobs,
    ),
]


class State(StrEnum):
    """States of a job; `open` is every one that is no end."""

    OPEN = "open"
    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Kind(StrEnum):
    """What is installed."""

    APP = "app"
    FIRMWARE = "firmware"


@app.command("list")
def list_jobs(
    context: typer.Context,
    *,
    device: OfDevice = "",
    state: Annotated[State | None, typer.Option(help="In this state only.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Of this kind only.")] = None,
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Orders to install an app or a firmware, newest first."""
    with calling(context) as api:
        most = bound(limit, everything)
        query = {
            "device_id": names.device_id(api, device) if device else "",
            "state": state.value if state else "",
            "kind": kind.value if kind else "",
        }
        found = api.each("listJobs", query=query, limit=most)
        empty = "No such jobs; `mymote app send` and `mymote firmware send` make some."
        output.listed(found, JOBS, empty, most, as_json=as_json)


@app.command("show")
def show(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """One job, and all that happened to it."""
    with calling(context) as api:
        found = api.call("getJob", jobid=names.job_id(api, job_id))
    if not as_json:
        steps = [watching.line_of(step) for step in found.pop("steps")]
        waits = watching.outlook(found)
        found |= ({"waits for": waits} if waits else {}) | {"steps": steps}
    output.shown(found, as_json=as_json)


@app.command("watch")
def watch(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Show how a job goes until it is done; ends with status 0 only if it succeeded."""
    with calling(context) as api:
        watching.watch(api, names.job_id(api, job_id), as_json=as_json)


@app.command("cancel")
def cancel(
    context: typer.Context, job_id: JobId, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Take an order back; not once the gateway installs."""
    with calling(context) as api:
        job_id = names.job_id(api, job_id)
        agreed(f"Cancel job {job_id}?", yes)
        reply = api.call("cancelJob", jobid=job_id)
    output.done(reply, "Cancelled.", as_json=as_json)
