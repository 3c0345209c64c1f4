"""Reading devices and groups: six of the contract's nine calls (rest-contract.md)."""

from datetime import UTC, datetime

from services.api.logic import views
from services.api.logic.devices import devices_of_account, devices_of_group, get_device
from services.api.logic.statistics import device_stats
from services.api.routes.dependencies import Caller, DeviceId, GroupId, Opened
from services.api.routes.errors import refusals
from services.api.routes.router import customer_router
from shared.schemas.contract import Device, DeviceSt, DeviceStats, DeviceStatus, Group

router = customer_router("devices")


@router.get(
    "/devices",
    operation_id="listDevices",
    summary="All devices with connection status",
    responses=refusals(401, 403, 503),
)
async def list_devices(resources: Opened, caller: Caller) -> list[DeviceSt]:
    """Every device of the account, ordered by id."""
    documents = await devices_of_account(resources.devices, resources.gateways, caller.user_id)
    return [views.device_st(document, with_key=caller.principal.full) for document in documents]


# Before the calls with {deviceid}: "group" is no device's id.
@router.get(
    "/devices/group/{groupid}",
    operation_id="listDevicesOfGroup",
    summary="Devices of a group",
    responses=refusals(400, 401, 403, 404, 503),
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
    responses=refusals(400, 401, 403, 404, 503),
)
async def read_device(resources: Opened, caller: Caller, device_id: DeviceId) -> list[DeviceSt]:
    """A list of one."""
    document = await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    return [views.device_st(document, with_key=caller.principal.full)]


@router.get(
    "/devices/{deviceid}/status",
    operation_id="getDeviceStatus",
    summary="Connection status",
    responses=refusals(400, 401, 403, 404, 503),
)
async def read_status(resources: Opened, caller: Caller, device_id: DeviceId) -> DeviceStatus:
    """`Connected` or `Disconnected`, as IoT Hub says it."""
    document = await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    return DeviceStatus(connectionState=document.status)


@router.get(
    "/devices/{deviceid}/stat",
    operation_id="getDeviceStatistics",
    summary="Activity statistics",
    responses=refusals(400, 401, 403, 404, 503),
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
    responses=refusals(401, 403, 503),
)
async def list_groups(resources: Opened, caller: Caller) -> list[Group]:
    """Every group of the account, ordered by id."""
    documents = await resources.groups.of_account(caller.user_id)
    return [views.group(document) for document in documents]
