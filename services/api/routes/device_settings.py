"""What a device is told and what it reports: settings, properties, reboot."""

from typing import Annotated, Any

from fastapi import Body, Depends, Response

from services.api.entities.settings import DeviceProperties, DeviceSettings, ReportedProperty
from services.api.logic import device_settings
from services.api.logic.device_settings import Settings, Twins
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.idempotency import Idempotent
from services.api.routes.router import customer_router
from shared.schemas.contract import Result

router = customer_router("devices")


def _twins(resources: Opened) -> Twins:
    return Twins(resources.devices, resources.gateways, resources.hub)


OpenTwins = Annotated[Twins, Depends(_twins)]
Patch = Annotated[
    dict[str, Any],
    Body(
        description="A merge patch (RFC 7396): what it names is set, null removes, the rest stays.",
        examples=[{"interval_s": 60, "alarm": {"high": 8, "low": None}}],
    ),
]


@router.get(
    "/devices/{deviceid}/settings",
    operation_id="getDeviceSettings",
    summary="Settings of a device",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def read_settings(
    twins: OpenTwins, caller: Caller, device_id: DeviceId, response: Response
) -> DeviceSettings:
    """What the owner configures for the gateway's app; its ETag is for changing it."""
    found = await device_settings.read_settings(twins, caller.user_id, device_id)
    return _entity(device_id, found, response)


@router.patch(
    "/devices/{deviceid}/settings",
    operation_id="updateDeviceSettings",
    summary="Change settings of a device",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503),
)
async def update_settings(
    twins: OpenTwins,
    caller: Caller,
    device_id: DeviceId,
    *,
    patch: Patch,
    if_match: IfMatch,
    response: Response,
) -> DeviceSettings:
    """The gateway gets the change at once, or when it connects again."""
    changed = await device_settings.change_settings(
        twins, caller.user_id, device_id, patch, if_match
    )
    return _entity(device_id, changed, response)


@router.get(
    "/devices/{deviceid}/properties",
    operation_id="getDeviceProperties",
    summary="What a device reports of itself",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def read_properties(
    twins: OpenTwins, caller: Caller, device_id: DeviceId
) -> DeviceProperties:
    """Versions, connectivity and the progress of what is sent over the air, as IoT Hub has it."""
    found = await device_settings.read_properties(twins, caller.user_id, device_id)
    return DeviceProperties(
        device_id=device_id,
        properties=[
            ReportedProperty(name=each.name, value=each.value, updated_at=each.at) for each in found
        ],
    )


@router.post(
    "/devices/{deviceid}/reboot",
    operation_id="rebootDevice",
    summary="Reboot a device",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def reboot(
    twins: OpenTwins, caller: Caller, device_id: DeviceId, _order_id: Idempotent
) -> Result:
    """The gateway resets now; one that is offline cannot (409). It keeps what it has stored."""
    await device_settings.reboot(twins, caller.user_id, device_id)
    return Result(result="rebooting")


def _entity(device_id: str, found: Settings, response: Response) -> DeviceSettings:
    set_etag(response, found.tag)
    return DeviceSettings(device_id=device_id, settings=dict(found.values))
