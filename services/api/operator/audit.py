"""`audit`: who did what, and what was refused."""

from typing import Annotated

import typer

from services.api.logic.audit import list_records
from services.api.logic.ids import check_device_id, check_user_id
from services.api.operator.output import Row, print_fields, print_rows
from services.api.operator.runner import AsJson, run
from services.api.resources import Resources
from services.api.store.audit import AuditPage
from shared.schemas.audit import PLATFORM, AuditRecord

MAX_PAGE = 500
COLUMNS = ("at", "operation", "status", "actor", "device_ids", "targets", "address", "reason")


def audit_command(
    *,
    user_id: Annotated[
        str, typer.Option(help="An account's log. Without it: what concerns no account.")
    ] = "",
    operation: Annotated[str, typer.Option(help="One operation, such as tamperedBlob.")] = "",
    device_id: Annotated[str, typer.Option(help="What was done to this device.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Of one page.")] = 20,
    after: Annotated[str, typer.Option(help="Where the page begins: `next` of the last.")] = "",
    as_json: AsJson = False,
) -> None:
    """A page of the audit log, newest first: of the platform, or of one account.

    The platform's has downloads that were refused to strangers, tampered firmware, paths that led
    elsewhere. `left_out` among a record's targets: how many before it were too many to be kept.

    Example: mymote-operator audit --operation tamperedBlob
    """

    async def work(resources: Resources) -> AuditPage:
        return await list_records(
            resources.audit,
            check_user_id(user_id) if user_id else PLATFORM,
            actor="",
            operation=operation,
            device_id=check_device_id(device_id) if device_id else "",
            since=None,
            until=None,
            limit=limit,
            cursor=after,
        )

    page = run(work, as_json=as_json)
    if as_json:
        items = [each.model_dump(mode="json") for each in page.items]
        print_fields({"items": items, "next": page.next}, as_json=True)
        return
    print_rows([_row(each) for each in page.items], as_json=False, empty="Nothing here.")
    if page.next:
        typer.echo(f"\nThere is more: repeat with --after {page.next}")


def _row(record: AuditRecord) -> Row:
    values = record.model_dump(mode="json") | {
        "actor": " ".join(filter(None, (record.actor_kind, record.actor_name))),
        "at": record.at.isoformat(timespec="milliseconds"),
    }
    return {name: values[name] for name in COLUMNS}
