"""`parked` commands: what is not delivered yet, and what becomes of it."""

from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from services.api.logic import parked
from services.api.logic.ids import check_device_id, check_user_id
from services.api.operator.output import Row, print_fields, print_rows
from services.api.operator.runner import AsJson, fail, run
from services.api.resources import Resources
from services.api.store.parked import Filter
from shared.errors import InvalidRequest
from shared.schemas.documents import ParkedMessage

parked_app = typer.Typer(no_args_is_help=True, help="Messages that are not delivered yet.")


class Reason(StrEnum):
    """Why a message is parked."""

    MALFORMED = "malformed"
    OVER_QUOTA = "over_quota"
    NO_OWNER = "no_owner"
    REFUSED = "refused"


UserId = Annotated[str, typer.Option(help="The account that the messages belong to.")]
DeviceId = Annotated[
    str, typer.Option(help="Without --user-id: what nobody owned. With it: of this device only.")
]
OfReason = Annotated[Reason | None, typer.Option("--reason", help="Of this reason only.")]
MessageId = Annotated[str, typer.Option("--id", help="One message, by the id that `list` shows.")]
All = Annotated[bool, typer.Option("--all", help="All that the filter matches.")]

COLUMNS = ("id", "device_id", "reason", "bytes", "enqueued_at", "ordered_at", "detail")


@parked_app.command("list")
def parked_list(
    *,
    user_id: UserId = "",
    device_id: DeviceId = "",
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, max=parked.MAX_PAGE, help="Of one page.")] = 20,
    after: Annotated[str, typer.Option(help="Where the page begins: `next` of the last.")] = "",
    as_json: AsJson = False,
) -> None:
    """A page of an account's parked messages, by sequence number; `show` tells all of one.

    Example: mymote-operator parked list --user-id u3f9c2d41a07be586 --reason over_quota
    """
    found = run(
        lambda resources: parked.page(
            _stores(resources), _filter(user_id, device_id, reason), limit, after
        ),
        as_json=as_json,
    )
    rows = [_row(message) for message in found.messages]
    if as_json:
        print_fields({"messages": rows, "next": found.next}, as_json=True)
        return
    table = [{name: row[name] for name in COLUMNS} for row in rows]
    print_rows(table, as_json=False, empty="Nothing is parked here.")
    if found.next:
        typer.echo(f"\nThere is more: repeat with --after {found.next}")


@parked_app.command("show")
def parked_show(
    *,
    message_id: MessageId,
    user_id: UserId = "",
    device_id: DeviceId = "",
    as_json: AsJson = False,
) -> None:
    """One parked message whole; its body as text, or as hex where it is none.

    Example: mymote-operator parked show --user-id u3f9c2d41a07be586 --id ID
    """
    message = run(
        lambda resources: parked.one(
            _stores(resources), _filter(user_id, device_id).holder, message_id
        ),
        as_json=as_json,
    )
    text, encoding = parked.body_of(b64decode(message.body))
    fields = {
        **_row(message),
        "content_type": message.content_type or "",
        "properties": message.properties,
        "annotations": message.annotations,
        "body_encoding": encoding,
        "body": text,
    }
    print_fields(fields, as_json=as_json)


@parked_app.command("redeliver")
def parked_redeliver(
    *,
    user_id: UserId = "",
    device_id: DeviceId = "",
    message_id: MessageId = "",
    everything: All = False,
    reason: OfReason = None,
    as_json: AsJson = False,
) -> None:
    """Have malformed messages, or those above the quota, delivered to their account after all.

    Ingest does it within seconds. What is still malformed then stays, with the reason.

    Example: mymote-operator parked redeliver --user-id u3f9c2d41a07be586 --all --reason over_quota
    """

    async def work(resources: Resources) -> parked.Progress:
        stores, wanted = _stores(resources), _filter(user_id, device_id, reason)
        if not _is_all(message_id, everything):
            await parked.redeliver(stores, wanted.holder, message_id)
            return parked.Progress(1)
        wanted = parked.to_redeliver(wanted)
        total = await parked.count(stores, wanted)
        steps = parked.redeliver_all(stores, wanted, total)
        return await _watched(steps, "ordered", total, as_json)

    progress = run(work, as_json=as_json)
    said = "Ingest delivers what is ordered within seconds."
    _print_progress(progress, "ordered", as_json, said)


@parked_app.command("discard")
def parked_discard(
    *,
    user_id: UserId = "",
    device_id: DeviceId = "",
    message_id: MessageId = "",
    everything: All = False,
    reason: OfReason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete parked messages for ever.

    Example: mymote-operator parked discard --user-id u3f9c2d41a07be586 --all --reason malformed
    """

    async def look(resources: Resources) -> int:
        stores, wanted = _stores(resources), _filter(user_id, device_id, reason)
        if _is_all(message_id, everything):
            return await parked.count(stores, wanted)
        await parked.one(stores, wanted.holder, message_id)
        return 1

    async def work(resources: Resources) -> parked.Progress:
        stores, wanted = _stores(resources), _filter(user_id, device_id, reason)
        if not _is_all(message_id, everything):
            await parked.discard(stores, wanted.holder, message_id)
            return parked.Progress(1)
        steps = parked.discard_all(stores, wanted, total)
        return await _watched(steps, "discarded", total, as_json)

    total = run(look, as_json=as_json)
    if total and not yes:
        _confirm(total, as_json)
    progress = run(work, as_json=as_json) if total else parked.Progress()
    _print_progress(progress, "discarded", as_json, "Discarded.")


@parked_app.command("held")
def parked_held(as_json: AsJson = False) -> None:
    """Accounts whose queue refuses now, and how many messages wait for each.

    Ingest delivers them, in order, when the queue takes again.
    """
    held = run(lambda resources: parked.held(_stores(resources)), as_json=as_json)
    rows = [
        {
            "user_id": each.user_id,
            "refused": each.refused,
            "since": _time(each.oldest.enqueued_at) if each.oldest else "",
            "detail": each.oldest.detail if each.oldest else "",
            "partitions": each.partitions,
        }
        for each in held
    ]
    print_rows(rows, as_json=as_json, empty="Every queue takes its messages.")


def _stores(resources: Resources) -> parked.Stores:
    return parked.Stores(
        resources.parked, resources.redeliveries, resources.accounts, resources.gateways
    )


def _filter(user_id: str, device_id: str, reason: Reason | None = None) -> Filter:
    reasons = (reason.value,) if reason else ()
    if device_id:
        check_device_id(device_id)
    if user_id:
        return Filter(check_user_id(user_id), device_id, reasons)
    if not device_id:
        raise InvalidRequest("Give --user-id, or --device-id for what nobody owned.")
    return Filter(device_id, reasons=reasons)


def _is_all(message_id: str, everything: bool) -> bool:
    if bool(message_id) == everything:
        raise InvalidRequest("Give --id for one message, or --all for all that the filter matches.")
    return everything


async def _watched(
    steps: AsyncIterator[parked.Progress], verb: str, total: int, as_json: bool
) -> parked.Progress:
    """The last step; the others are shown on stderr."""
    progress = parked.Progress()
    async for progress in steps:
        if not as_json:
            typer.echo(f"{progress.done} of {total} {verb}", err=True)
    return progress


def _confirm(total: int, as_json: bool) -> None:
    """Ends the process where nobody agrees."""
    agreed = False
    if not as_json:
        try:
            messages = "1 message" if total == 1 else f"{total} messages"
            agreed = typer.confirm(f"Discard {messages} for ever?", err=True)
        except typer.Abort:  # nobody there to answer, or Ctrl-C
            typer.echo(err=True)
    if not agreed:
        fail("Nothing was discarded. With --yes nobody is asked.", as_json=as_json)


def _print_progress(progress: parked.Progress, verb: str, as_json: bool, said: str) -> None:
    fields: dict[str, object] = {verb: progress.done, "left": progress.left}
    if progress.left:
        fields["why"] = progress.why
    if not progress.done:
        said = "" if progress.left else f"Nothing here to be {verb}."
    print_fields(fields, as_json=as_json, said=said)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _row(message: ParkedMessage) -> Row:
    return {
        "id": message.id,
        "device_id": message.device_id,
        "reason": message.reason,
        "mid": message.mid,
        "bytes": len(b64decode(message.body)),
        "created_at": _time(message.created_at),
        "enqueued_at": _time(message.enqueued_at),
        "stream": message.stream,
        "sequence_number": message.sequence_number,
        "ordered_at": _time(message.ordered_at) if message.ordered_at else "",
        "detail": message.detail,
    }
