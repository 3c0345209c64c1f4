"""Who did what, when, from where."""

from typing import Annotated

from fastapi import Query

from services.api.entities.audit import AuditPage, AuditRecord
from services.api.entities.moment import Moment
from services.api.logic import audit, ids
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router

router = customer_router("people")


@router.get(
    "/audit",
    operation_id="listAudit",
    summary="Read the audit log",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_audit(
    *,
    resources: Opened,
    caller: Caller,
    actor: Annotated[
        str, Query(max_length=100, description="The id or name of a person or key.")
    ] = "",
    operation: Annotated[
        str, Query(max_length=64, description="An operation id, such as `rebootDevice`.")
    ] = "",
    device_id: Annotated[str, Query(description="What was done to this device.")] = "",
    since: Annotated[Moment | None, Query(description="Then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Before then.")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> AuditPage:
    """Who called what that may change something, when, from where, and how it was answered, the
    newest first: refusals too, and people who signed in or failed to. A record has neither
    bodies nor secrets, and is kept for a year unless the platform's settings say otherwise."""
    page = await audit.list_records(
        resources.audit,
        caller.user_id,
        actor=actor,
        operation=operation,
        device_id=ids.check_device_id(device_id) if device_id else "",
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    items = [AuditRecord(**each.model_dump(exclude={"user_id"})) for each in page.items]
    return AuditPage(items=items, next=page.next)
