"""REST routes of the identity registry."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from emulator.iothub import json_body
from emulator.iothub.errors import HubError, invalid, not_emulated
from emulator.iothub.identity import Identity, identity_json, parse_identity
from emulator.iothub.twins import parse_twin

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub

MAX_LIST = 1000
MAX_BULK = 100


async def get_device(hub: "IotHub", request: web.Request) -> web.Response:
    return _answer(hub, hub.identity(request.match_info["id"]))


async def put_device(hub: "IotHub", request: web.Request) -> web.Response:
    """Create without If-Match; update with it."""
    device_id = request.match_info["id"]
    document = json_body.parse(await request.read())
    if not isinstance(document, dict):
        raise invalid("The body is a JSON object")
    if document.get("deviceId", device_id) != device_id:
        raise invalid("deviceId differs from the device in the path")
    wanted = parse_identity(document)
    if_match = request.headers.get("If-Match")
    if if_match is None:
        return _answer(hub, hub.create_device(device_id, wanted))
    return _answer(hub, hub.update_device(device_id, wanted, if_match))


async def delete_device(hub: "IotHub", request: web.Request) -> web.Response:
    hub.delete_device(request.match_info["id"], request.headers.get("If-Match"))
    return web.Response(status=204)


async def list_devices(hub: "IotHub", request: web.Request) -> web.Response:
    """At most 1,000; fleets use queries."""
    top = request.query.get("top", "")
    limit = int(top) if top.isdecimal() and len(top) < 6 else MAX_LIST
    found = hub.registry.first(limit if 1 <= limit <= MAX_LIST else MAX_LIST)
    return web.json_response(
        [identity_json(each, hub.c2d.waiting(each.device_id)) for each in found]
    )


async def purge(hub: "IotHub", request: web.Request) -> web.Response:
    """Drop the cloud-to-device messages that wait for a device."""
    device_id = hub.registry.get(request.match_info["id"]).device_id
    purged = hub.c2d.purge(device_id)
    return web.json_response({"totalMessagesPurged": purged, "deviceId": device_id})


async def registry_statistics(hub: "IotHub", _request: web.Request) -> web.Response:
    total, enabled, _ = hub.registry.counts()
    return web.json_response(
        {
            "totalDeviceCount": total,
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": total - enabled,
        }
    )


async def service_statistics(hub: "IotHub", _request: web.Request) -> web.Response:
    _, _, connected = hub.registry.counts()
    return web.json_response({"connectedDeviceCount": connected})


async def bulk(hub: "IotHub", request: web.Request) -> web.Response:
    """Create, update and delete up to 100 devices; each succeeds or fails by itself."""
    document = json_body.parse(await request.read())
    if not isinstance(document, list) or len(document) > MAX_BULK:
        raise invalid("The body is an array of at most 100 devices")
    ids = [entry.get("id") if isinstance(entry, dict) else None for entry in document]
    if not all(isinstance(device_id, str) for device_id in ids) or len(set(ids)) < len(ids):
        raise invalid("Each entry has an id, and none occurs twice")
    errors = []
    for entry in document:
        try:
            _apply(hub, entry)
        except HubError as refused:
            errors.append(
                {
                    "deviceId": entry["id"],
                    "errorCode": refused.code,
                    "errorStatus": refused.message,
                    "operation": entry.get("importMode"),
                }
            )
    result = {"isSuccessful": not errors, "errors": errors, "warnings": []}
    return web.json_response(result, status=400 if errors else 200)


def _apply(hub: "IotHub", entry: dict[str, Any]) -> None:
    """One entry of a bulk request (ExportImportDevice). Raises HubError."""
    device_id = entry["id"]
    match entry.get("importMode") or "createOrUpdate":
        case "create":
            hub.create_device(device_id, parse_identity(entry), parse_twin(entry))
        case "createOrUpdate" if hub.registry.find(device_id) is None:
            hub.create_device(device_id, parse_identity(entry), parse_twin(entry))
        case "update" | "createOrUpdate":
            hub.update_device(device_id, parse_identity(entry), "*")
        case "updateIfMatchETag":
            hub.update_device(device_id, parse_identity(entry), _etag(entry))
        case "delete":
            hub.delete_device(device_id, "*")
        case "deleteIfMatchETag":
            hub.delete_device(device_id, _etag(entry))
        case other:
            raise not_emulated(f"importMode {other}")


def _etag(entry: dict[str, Any]) -> str:
    etag = entry.get("eTag")
    if not isinstance(etag, str) or not etag:
        raise invalid("An import mode that compares ETags needs an eTag")
    return etag


def _answer(hub: "IotHub", identity: Identity) -> web.Response:
    document = identity_json(identity, hub.c2d.waiting(identity.device_id))
    return web.json_response(document, headers={"ETag": f'"{identity.etag}"'})
