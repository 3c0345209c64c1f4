"""Reading devices and groups: six of the contract's nine calls (rest-contract.md)."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.api.entities.devices import DevicePage
from services.api.logic import ids, views
from services.api.logic.device_edit import tag
from services.api.logic.device_list import page_of_devices
from services.api.logic.devices import devices_of_account, devices_of_group, get_device
from services.api.logic.statistics import device_stats
from services.api.routes.dependencies import Caller, DeviceId, GroupId, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import set_etag
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router
from services.api.store.device_pages import DeviceFilter, DeviceOrder
from shared.schemas.contract import (
    ConnectionState,
    Device,
    DeviceSt,
    DeviceStats,
    DeviceStatus,
    Group,
)

router = customer_router("devices")


class Sort(StrEnum):
    """What a list of devices is sorted by; '-' begins with the last."""

    NAME = "name"
    NAME_DOWN = "-name"
    STATUS = "status"
    STATUS_DOWN = "-status"
    TYPE = "type"
    TYPE_DOWN = "-type"
    APP = "app"
    APP_DOWN = "-app"
    VERSION = "version"
    VERSION_DOWN = "-version"
    FIRMWARE = "firmware"
    FIRMWARE_DOWN = "-firmware"
    PAIRED_AT = "paired_at"
    PAIRED_AT_DOWN = "-paired_at"


_ORDERS = {
    "name": DeviceOrder.NAME,
    "status": DeviceOrder.STATUS,
    "type": DeviceOrder.TYPE,
    "app": DeviceOrder.APP,
    "version": DeviceOrder.VERSION,
    "firmware": DeviceOrder.FIRMWARE,
    "paired_at": DeviceOrder.PAIRED_AT,
}


def _wanted(
    *,
    search: Annotated[
        str, Query(max_length=100, description="In name, device id or ICCID, whatever the case.")
    ] = "",
    group: Annotated[
        str | None, Query(description='The GROUP\'s `id`; "" for devices in no group.')
    ] = None,
    status: Annotated[ConnectionState | None, Query(description="`Connected` or not.")] = None,
    type: Annotated[str | None, Query(max_length=64, description="The DEVICE's `type`.")] = None,
    app: Annotated[
        str | None, Query(max_length=100, description="The DEVICE's `app_name`.")
    ] = None,
    version: Annotated[
        str | None, Query(max_length=64, description="The DEVICE's `app_version`.")
    ] = None,
    firmware: Annotated[
        str | None, Query(max_length=64, description="The DEVICE's `fwversion`.")
    ] = None,
    sort: Annotated[
        Sort, Query(description="By text, upper case first; '-' turns the order round.")
    ] = Sort.NAME,
) -> DeviceFilter:
    return DeviceFilter(
        search=search,
        group_id=ids.check_group_id(group) if group else group,
        status=status,
        type=type,
        app_name=app,
        app_version=version,
        fwversion=firmware,
        order=_ORDERS[sort.removeprefix("-")],
        descending=sort.startswith("-"),
    )


@router.get(
    "/devices",
    operation_id="listDevices",
    summary="All devices with connection status",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_devices(
    request: Request,
    *,
    resources: Opened,
    caller: Caller,
    wanted: Annotated[DeviceFilter, Depends(_wanted)],
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> list[DeviceSt] | DevicePage:
    """Every device of the account, ordered by id.

    With any parameter: a DEVICEPAGE of those that match all that is asked for.
    """
    with_key = caller.principal.full
    stores = (resources.devices, resources.gateways)
    if not request.query_params:
        documents = await devices_of_account(*stores, caller.user_id)
        return [views.device_st(each, with_key=with_key) for each in documents]
    page = await page_of_devices(*stores, caller.user_id, wanted, limit=limit, cursor=cursor)
    items = [views.device_st(each, with_key=with_key) for each in page.items]
    return DevicePage(items=items, next=page.next)


# Before the calls with {deviceid}: "group" is no device's id.
@router.get(
    "/devices/group/{groupid}",
    operation_id="listDevicesOfGroup",
    summary="Devices of a group",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def list_devices_of_group(
    resources: Opened, caller: Caller, group_id: GroupId
) -> list[Device]:
    """The devices that are in the group, ordered by id."""
    documents = await devices_of_group(
        resources.devices, resources.gateways, resources.groups, caller.user_id, group_id
    )
    return [views.device(document, with_key=caller.principal.full) for document in documents]


@router.get(
    "/devices/{deviceid}",
    operation_id="getDevice",
    summary="One device with connection status",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_device(
    response: Response, resources: Opened, caller: Caller, device_id: DeviceId
) -> list[DeviceSt]:
    """A list of one, with its ETag for editing it."""
    document = await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    set_etag(response, tag(document))
    return [views.device_st(document, with_key=caller.principal.full)]


@router.get(
    "/devices/{deviceid}/status",
    operation_id="getDeviceStatus",
    summary="Connection status",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_status(resources: Opened, caller: Caller, device_id: DeviceId) -> DeviceStatus:
    """`Connected` or `Disconnected`, as IoT Hub says it."""
    document = await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    return DeviceStatus(connectionState=document.status)


@router.get(
    "/devices/{deviceid}/stat",
    operation_id="getDeviceStatistics",
    summary="Activity statistics",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_statistics(resources: Opened, caller: Caller, device_id: DeviceId) -> DeviceStats:
    """Messages and bytes of this pairing: in all, today (UTC) and on the seven days before."""
    document = await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    ledger = await resources.ledgers.get(document.stat_device_id)
    return device_stats(document, ledger, datetime.now(UTC).date())


@router.get(
    "/groups",
    operation_id="listGroups",
    summary="All groups",
    tags=["groups"],
    responses=refusals(401, 403, 429, 503),
)
async def list_groups(resources: Opened, caller: Caller) -> list[Group]:
    """Every group of the account, ordered by id."""
    documents = await resources.groups.of_account(caller.user_id)
    return [views.group(document) for document in documents]
