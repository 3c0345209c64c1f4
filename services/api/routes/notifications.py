"""Notifications: reading, acknowledging, clearing them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path, Query

from services.api.entities.moment import Moment
from services.api.entities.notifications import (
    LevelCounts,
    Notification,
    NotificationCounts,
    NotificationFilter,
    NotificationPage,
    NotificationsChanged,
    NotificationSelection,
    NotificationState,
    WantedState,
)
from services.api.logic import ids, notifications
from services.api.logic.notifications import Order, State, Stores, Wanted
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router
from shared.schemas import documents
from shared.schemas.messages import Level

router = customer_router("notifications")

_STATES: dict[WantedState | None, tuple[State, ...]] = {
    None: (),
    WantedState.NEW: ("new",),
    WantedState.ACKNOWLEDGED: ("acknowledged",),
    WantedState.CLEARED: ("cleared",),
    WantedState.OPEN: ("new", "acknowledged"),
}


def _stores(resources: Opened) -> Stores:
    return Stores(
        resources.notifications,
        resources.devices,
        resources.groups,
        timedelta(days=resources.settings.notification_days),
    )


Opener = Annotated[Stores, Depends(_stores)]

NotificationId = Annotated[
    str,
    Path(
        alias="notificationid",
        description="The NOTIFICATION's `id`.",
        examples=["8e0f6c1d2b3a49587766554433221100"],
    ),
]


def _place(
    device_id: Annotated[str, Query(description="Of this device only.")] = "",
    group_id: Annotated[str, Query(description="Of the devices now in this group.")] = "",
    since: Annotated[Moment | None, Query(description="Taken by the cloud then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Taken by the cloud before then.")] = None,
) -> Wanted:
    return Wanted(
        device_id=ids.check_device_id(device_id) if device_id else "",
        group_id=ids.check_group_id(group_id) if group_id else "",
        since=since,
        until=until,
    )


Place = Annotated[Wanted, Depends(_place)]


def _wanted(
    place: Place,
    level: Annotated[Level | None, Query(description="1 info, 2 warning, 3 alarm.")] = None,
    state: Annotated[
        WantedState | None, Query(description="`open` is whatever is not cleared.")
    ] = None,
) -> Wanted:
    return Wanted(
        level=level or 0,
        device_id=place.device_id,
        group_id=place.group_id,
        states=_STATES[state],
        since=place.since,
        until=place.until,
    )


@router.get(
    "/notifications",
    operation_id="listNotifications",
    summary="List notifications",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def list_notifications(
    stores: Opener,
    caller: Caller,
    wanted: Annotated[Wanted, Depends(_wanted)],
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> NotificationPage:
    """Newest first, by the time at which the cloud took them."""
    found, following = await notifications.page(stores, caller.user_id, wanted, limit, cursor)
    return NotificationPage(items=[_entity(each) for each in found], next=following)


@router.get(
    "/notifications/count",
    operation_id="countNotifications",
    summary="Count notifications by state and level",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def count_notifications(stores: Opener, caller: Caller, wanted: Place) -> NotificationCounts:
    """For a badge: how many are new, acknowledged, cleared, and of which level."""
    counts = await notifications.counts(stores, caller.user_id, wanted)
    return NotificationCounts(
        **{
            state: LevelCounts(
                info=found[Level.INFO],
                warning=found[Level.WARNING],
                alarm=found[Level.ALARM],
                total=sum(found.values()),
            )
            for state, found in counts.items()
        }
    )


@router.post(
    "/notifications/acknowledge",
    operation_id="acknowledgeNotifications",
    summary="Acknowledge many notifications",
    responses=refusals(400, 401, 403, 404, 408, 413, 415, 429, 503),
)
async def acknowledge_notifications(
    stores: Opener, caller: Caller, body: NotificationSelection
) -> NotificationsChanged:
    """Some by their ids, or what a filter matches: a thousand a call, `more` says whether to
    repeat it."""
    return await _change_many(stores, caller, body, "acknowledged")


@router.post(
    "/notifications/clear",
    operation_id="clearNotifications",
    summary="Clear many notifications",
    responses=refusals(400, 401, 403, 404, 408, 413, 415, 429, 503),
)
async def clear_notifications(
    stores: Opener, caller: Caller, body: NotificationSelection
) -> NotificationsChanged:
    """Some by their ids, or what a filter matches: a thousand a call, `more` says whether to
    repeat it."""
    return await _change_many(stores, caller, body, "cleared")


@router.get(
    "/notifications/{notificationid}",
    operation_id="getNotification",
    summary="Read a notification",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_notification(
    stores: Opener, caller: Caller, notification_id: NotificationId
) -> Notification:
    """One notification."""
    return _entity(await notifications.one(stores, caller.user_id, notification_id))


@router.post(
    "/notifications/{notificationid}/acknowledge",
    operation_id="acknowledgeNotification",
    summary="Acknowledge a notification",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def acknowledge_notification(
    stores: Opener, caller: Caller, notification_id: NotificationId
) -> Notification:
    """Somebody has seen it: who and when is kept. What is cleared cannot be acknowledged (409);
    what is acknowledged stays as it is."""
    order = _order(caller, "acknowledged")
    return _entity(await notifications.change(stores, caller.user_id, notification_id, order))


@router.post(
    "/notifications/{notificationid}/clear",
    operation_id="clearNotification",
    summary="Clear a notification",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def clear_notification(
    stores: Opener, caller: Caller, notification_id: NotificationId
) -> Notification:
    """It is dealt with: who and when is kept. It stays in the list under its state."""
    order = _order(caller, "cleared")
    return _entity(await notifications.change(stores, caller.user_id, notification_id, order))


async def _change_many(
    stores: Stores, caller: Caller, body: NotificationSelection, state: State
) -> NotificationsChanged:
    order = _order(caller, state)
    if body.ids is not None:
        changed = await notifications.change_ids(stores, caller.user_id, body.ids, order)
    else:
        wanted = _meant(body.filter or NotificationFilter())
        changed = await notifications.change_matching(stores, caller.user_id, wanted, order)
    return NotificationsChanged(
        changed=changed.changed,
        unchanged=changed.unchanged,
        missing=changed.missing,
        more=changed.more,
    )


def _meant(given: NotificationFilter) -> Wanted:
    return Wanted(
        level=given.level or 0,
        device_id=given.device_id or "",
        group_id=given.group_id or "",
        states=_STATES[given.state],
        since=given.since,
        until=given.until,
    )


def _order(caller: Caller, state: State) -> Order:
    return Order(state, datetime.now(UTC), caller.principal.name)


def _entity(document: documents.Notification) -> Notification:
    return Notification(
        id=document.id,
        device_id=document.device_id,
        device_name=document.device_name,
        level=document.level,
        text=document.text,
        created_at=document.created_at,
        enqueued_at=document.enqueued_at,
        state=NotificationState(document.state),
        state_at=document.state_at,
        state_by=document.state_by,
    )
