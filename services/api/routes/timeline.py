"""What happened to a device."""

from typing import Annotated

from fastapi import Depends, Query

from services.api.entities.moment import Moment
from services.api.entities.timeline import TimelineEvent, TimelinePage
from services.api.logic.timeline import Happening, Span, Stores, page_of_timeline
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router

router = customer_router("devices")


def _stores(resources: Opened) -> Stores:
    return Stores(
        resources.devices, resources.gateways, resources.timeline, resources.notifications
    )


def _span(
    event: Annotated[
        str,
        Query(
            pattern="^([a-z_]{1,40})?$",
            description="Of this kind only; `notification` for those.",
            examples=["connected"],
        ),
    ] = "",
    since: Annotated[Moment | None, Query(description="Learned of then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Learned of before then.")] = None,
) -> Span:
    return Span(event, since, until)


@router.get(
    "/devices/{deviceid}/timeline",
    operation_id="getDeviceTimeline",
    summary="What happened to a device",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_timeline(
    stores: Annotated[Stores, Depends(_stores)],
    caller: Caller,
    device_id: DeviceId,
    *,
    span: Annotated[Span, Depends(_span)],
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> TimelinePage:
    """Connections, notifications, orders, changes and quota, newest first.

    Only what happened while the device was this account's. What is new while the pages are read
    is not on them; read the first one again for it.
    """
    found, following = await page_of_timeline(
        stores, caller.user_id, device_id, span, limit=limit, cursor=cursor
    )
    return TimelinePage(items=[_entity(each) for each in found], next=following)


def _entity(happening: Happening) -> TimelineEvent:
    return TimelineEvent(
        id=happening.id,
        at=happening.at,
        created_at=happening.created_at,
        event=happening.event,
        detail=happening.detail,
        level=happening.level,
    )
