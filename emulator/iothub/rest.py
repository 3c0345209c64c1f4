"""IoT Hub's REST API: the frame around each request, and all its routes.

Facts: "IoT Hub Service REST API" 2021-04-12 and what azure-iot-hub calls.
"""

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from emulator.iothub import clock, rest_devices, rest_feedback, rest_twins
from emulator.iothub.errors import HubError, invalid, not_emulated
from emulator.sas import SasError, SasToken

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub

Handler = Callable[["IotHub", web.Request], Awaitable[web.Response]]

_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/devices/query", rest_twins.query),
    ("GET", "/devices", rest_devices.list_devices),
    ("POST", "/devices", rest_devices.bulk),
    ("GET", "/devices/{id}", rest_devices.get_device),
    ("PUT", "/devices/{id}", rest_devices.put_device),
    ("DELETE", "/devices/{id}", rest_devices.delete_device),
    ("DELETE", "/devices/{id}/commands", rest_devices.purge),
    ("GET", "/statistics/devices", rest_devices.registry_statistics),
    ("GET", "/statistics/service", rest_devices.service_statistics),
    ("GET", "/twins/{id}", rest_twins.get_twin),
    ("PATCH", "/twins/{id}", rest_twins.patch_twin),
    ("PUT", "/twins/{id}", rest_twins.put_twin),
    ("POST", "/twins/{id}/methods", rest_twins.invoke_method),
    ("GET", "/messages/serviceBound/feedback", rest_feedback.receive),
    ("DELETE", "/messages/serviceBound/feedback/{token}", rest_feedback.complete),
    ("POST", "/messages/serviceBound/feedback/{token}/abandon", rest_feedback.abandon),
)
# The rest of IoT Hub: modules, jobs, configurations, digital twins, HTTPS for devices.
_ROOTS = (
    "devices",
    "twins",
    "statistics",
    "messages",
    "jobs",
    "configurations",
    "digitaltwins",
)


def add_routes(app: web.Application, hub: "IotHub") -> None:
    """Add IoT Hub's paths to the application of the HTTPS port, before any catch-all."""
    for method, path, handler in _ROUTES:
        app.router.add_route(method, path, _framed(hub, handler))
    for root in _ROOTS:
        app.router.add_route("*", f"/{root}{{rest:(/.*)?}}", _framed(hub, _refuse))


async def _refuse(_hub: "IotHub", request: web.Request) -> web.Response:
    raise not_emulated(f"{request.method} {request.path}")


def _framed(
    hub: "IotHub", handler: Handler
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Authorize, handle, answer once the store is durable; refusals in IoT Hub's form."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            _authorize(hub, request)
            if "api-version" not in request.query:
                raise invalid("The request needs a query parameter api-version")
            response = await handler(hub, request)
        except HubError as refused:
            response = error_response(refused)
        except web.HTTPRequestEntityTooLarge:
            too_large = HubError(413, "RequestEntityTooLarge", "The body is above 1 MB")
            response = error_response(too_large)
        await hub.store.durable()
        return response

    return handle


def _authorize(hub: "IotHub", request: web.Request) -> None:
    try:
        token = SasToken.parse(request.headers.get("Authorization", ""))
        hub.authentication.service(token, request.path)
    except SasError:
        raise HubError(401, "IotHubUnauthorizedAccess", "Unauthorized") from None


def error_response(refused: HubError) -> web.Response:
    """IoT Hub's error body: numbered errors have their fields as JSON inside `Message`."""
    tracking = f"{uuid.uuid4().hex.upper()}-G:0-TimeStamp:{clock.iso(time.time())}"
    if refused.number is None:
        body = {
            "Message": f"ErrorCode:{refused.code};{refused.message}",
            "ExceptionMessage": f"Tracking ID:{tracking}",
        }
    else:
        inner = {
            "errorCode": refused.number,
            "trackingId": tracking,
            "message": refused.message,
            "info": {},
            "timestampUtc": clock.iso(time.time()),
        }
        body = {"Message": json.dumps(inner), "ExceptionMessage": ""}
    return web.json_response(
        body, status=refused.status, headers={"iothub-errorcode": refused.code}
    )
