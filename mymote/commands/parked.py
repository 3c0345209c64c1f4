"""`mymote parked …`: messages that were not delivered to the account's queue."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.failures import usage
from mymote.options import AsJson, Everything, Limit, OfDevice, Yes, agreed, bound
from mymote.output import Column

if TYPE_CHECKING:
    from mymote.api import Api

app = typer.Typer(no_args_is_help=True, help="Messages that are not delivered, and why.")

PARKED = (
    Column("ID", "id", keep=True),
    Column("REASON", "reason", cut=8),
    Column("TAKEN", output.time_of("enqueued_at")),
    Column("BYTES", "size", right=True),
    Column("DETAIL", "detail", cut=8),
    Column("ORDERED", output.time_of("ordered_at")),
    Column("DEVICE ID", "device_id"),
)


class Reason(StrEnum):
    """Why a message is parked."""

    MALFORMED = "malformed"
    OVER_QUOTA = "over_quota"
    NO_OWNER = "no_owner"
    REFUSED = "refused"


OfReason = Annotated[Reason | None, typer.Option("--reason", help="Of this reason only.")]
ParkedId = Annotated[str, typer.Argument(metavar="ID", help="As `parked list` shows it.")]
OneId = Annotated[str, typer.Argument(metavar="ID", help="One message.")]
All = Annotated[bool, typer.Option("--all", help="All that the options select.")]


@app.command("list")
def list_parked(
    context: typer.Context,
    *,
    device: OfDevice = "",
    reason: OfReason = None,
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Parked messages, oldest first; they are kept for seven days.

    Example: mymote parked list --reason over_quota
    """
    with calling(context) as api:
        query = {
            "device_id": names.device_id(api, device) if device else "",
            "reason": reason.value if reason else "",
        }
        most = bound(limit, everything)
        found = api.each("listParkedMessages", query=query, limit=most)
        output.listed(found, PARKED, "Nothing is parked.", most, as_json=as_json)


@app.command("show")
def show(context: typer.Context, parked_id: ParkedId, as_json: AsJson = False) -> None:
    """One parked message whole, with its body as text or hex."""
    with calling(context) as api:
        found = api.call("getParkedMessage", parkedid=parked_id)
    output.shown(found, as_json=as_json)


@app.command("redeliver")
def redeliver(
    context: typer.Context,
    parked_id: OneId = "",
    *,
    everything: All = False,
    device: OfDevice = "",
    reason: OfReason = None,
    as_json: AsJson = False,
) -> None:
    """Have malformed messages, or those above the quota, delivered after all, within seconds.

    Example: mymote parked redeliver --all --reason over_quota
    """
    _one_or_all(parked_id, everything, device, reason)
    with calling(context) as api:
        if parked_id:
            reply = api.call("redeliverParkedMessage", parkedid=parked_id)
            output.done(reply, "It is delivered within seconds.", as_json=as_json)
            return
        _many(api, "redeliverParkedMessages", _selection(api, device, reason), as_json)


@app.command("discard")
def discard(
    context: typer.Context,
    parked_id: OneId = "",
    *,
    everything: All = False,
    device: OfDevice = "",
    reason: OfReason = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete parked messages for ever.

    Example: mymote parked discard --all --reason malformed
    """
    _one_or_all(parked_id, everything, device, reason)
    with calling(context) as api:
        if parked_id:
            agreed("Discard this message for ever?", yes)
            reply = api.call("discardParkedMessage", parkedid=parked_id)
            output.done(reply, "Discarded.", as_json=as_json)
            return
        selection = _selection(api, device, reason)
        which = "all of these parked messages" if selection else "all parked messages"
        agreed(f"Discard {which} for ever?", yes)
        _many(api, "discardParkedMessages", selection, as_json)


def _one_or_all(parked_id: str, everything: bool, device: str, reason: Reason | None) -> None:
    if bool(parked_id) == everything or (parked_id and (device or reason)):
        raise usage("Give the id of one; or --all, with options that select.")


def _selection(api: "Api", device: str, reason: Reason | None) -> dict[str, Any]:
    selection: dict[str, Any] = {}
    if device:
        selection["device_id"] = names.device_id(api, device)
    if reason:
        selection["reasons"] = [reason.value]
    return selection


def _many(api: "Api", operation: str, selection: dict[str, Any], as_json: bool) -> None:
    done, left, why = 0, 0, ""
    more = True
    while more:
        found = api.call(operation, json=selection)
        done, left, why = done + found["done"], found["left"], found["why"] or why
        more = found["more"] and found["done"] > 0
        if more and not as_json:
            output.note(f"{done} so far ...")
    rest = f" {left} were left: {why}" if left else ""
    output.done({"done": done, "left": left, "why": why}, f"{done} done.{rest}", as_json=as_json)
