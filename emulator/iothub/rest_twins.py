"""REST routes of twins: read, change, query, and direct methods."""

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from emulator.iothub import json_body
from emulator.iothub.errors import invalid
from emulator.iothub.methods import parse_call
from emulator.iothub.query import compile_query
from emulator.iothub.twins import parse_twin, twin_json

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub

DEFAULT_PAGE = 100
MAX_PAGE = 1000


async def get_twin(hub: "IotHub", request: web.Request) -> web.Response:
    return _answer(hub, request.match_info["id"])


async def patch_twin(hub: "IotHub", request: web.Request) -> web.Response:
    """Merge tags and desired properties."""
    device_id = request.match_info["id"]
    wanted = parse_twin(json_body.parse(await request.read()))
    hub.update_twin(device_id, wanted, request.headers.get("If-Match"))
    return _answer(hub, device_id)


async def put_twin(hub: "IotHub", request: web.Request) -> web.Response:
    """Replace tags and desired properties."""
    device_id = request.match_info["id"]
    wanted = parse_twin(json_body.parse(await request.read()))
    hub.replace_twin(device_id, wanted, request.headers.get("If-Match"))
    return _answer(hub, device_id)


async def invoke_method(hub: "IotHub", request: web.Request) -> web.Response:
    """Call a direct method and wait for the device's answer."""
    device_id = hub.registry.get(request.match_info["id"]).device_id
    call = parse_call(json_body.parse(await request.read()), _dump)
    await hub.store.durable()
    answer = await hub.methods.invoke(device_id, call)
    return web.json_response({"status": answer.status, "payload": answer.payload})


async def query(hub: "IotHub", request: web.Request) -> web.Response:
    """A page of twins; `x-ms-continuation` leads to the next."""
    document = json_body.parse(await request.read())
    text = document.get("query") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise invalid('The body is {"query": "SELECT * FROM devices"}')
    condition = compile_query(text)
    size = _page_size(request.headers.get("x-ms-max-item-count"))
    after = _decode_continuation(request.headers.get("x-ms-continuation"))
    count = len(condition.parameters)
    # The condition's text is the compiler's own; what the client wrote is in the parameters.
    sql = (
        "SELECT d.device_id FROM iothub_devices d JOIN iothub_twins t USING (device_id) "  # noqa: S608
        f"WHERE ({condition.sql}) AND d.device_id > ?{count + 1} "
        f"ORDER BY d.device_id LIMIT ?{count + 2}"
    )
    rows = hub.store.read(sql, (*condition.parameters, after, size + 1)).fetchall()
    page = [row[0] for row in rows[:size]]
    headers = {"x-ms-item-type": "Twin"}
    if len(rows) > size:
        headers["x-ms-continuation"] = base64.b64encode(page[-1].encode()).decode()
    return web.json_response([_twin(hub, device_id) for device_id in page], headers=headers)


def _page_size(text: str | None) -> int:
    if text is None or text in ("", "-1"):
        return DEFAULT_PAGE
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise invalid("x-ms-max-item-count is a positive number")
    return min(int(text), MAX_PAGE)


def _decode_continuation(token: str | None) -> str:
    try:
        return base64.b64decode(token or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise invalid("x-ms-continuation is not one that this hub gave") from None


def _twin(hub: "IotHub", device_id: str) -> dict[str, Any]:
    identity, twin = hub.identity(device_id), hub.twins.get(device_id)
    return twin_json(identity, twin, hub.c2d.waiting(device_id))


def _answer(hub: "IotHub", device_id: str) -> web.Response:
    document = _twin(hub, device_id)
    return web.json_response(document, headers={"ETag": f'"{document["etag"]}"'})


def _dump(payload: object) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
