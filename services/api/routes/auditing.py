"""Each call that may change something is in the audit log, also where it is refused."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.api.logic.audit import Act, actor_of, record
from services.api.logic.ids import is_device_id
from services.api.routes.dependencies import Calling, client_address, opened
from shared.errors import MyMoteError
from shared.recorder import CLIENT_GONE

READS = ("GET", "HEAD", "OPTIONS")
IN_URL = ("userid", "webapi_key")  # of every call
REPLAYED = "Idempotency-Replayed"


async def audited(
    request: Request,
    caller: Calling,
    operation: str,
    answer: Callable[[Request], Awaitable[Response]],
) -> Response:
    """The answer, after it was written down who asked for what, and how it went.

    A route that makes or changes a device that is not in its path sets
    `request.state.device_id`; one that does so with many, `request.state.device_ids`.
    """
    if request.method in READS:
        return await answer(request)
    status, made, replayed = 500, "", False
    try:
        response = await answer(request)
        status, made = response.status_code, response.headers.get("Location", "")
        replayed = REPLAYED in response.headers
        return response
    except Exception as error:
        status = _status_of(error)
        raise
    finally:
        resources = opened(request)
        act = Act(
            user_id=caller.user_id,
            actor=actor_of(caller.principal),
            operation=operation,
            status=status,
            address=client_address(request),
            targets=_targets(request, made),
            device_ids=_device_ids(request),
            replayed=replayed,
        )
        await record(resources.audit, resources.timeline, act)


def _status_of(error: Exception) -> int:
    if isinstance(error, MyMoteError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 400
    return CLIENT_GONE if isinstance(error, ClientDisconnect) else 500


def _targets(request: Request, location: str) -> dict[str, str]:
    targets = {name: str(id_) for name, id_ in request.path_params.items() if name not in IN_URL}
    if location:
        targets["made"] = location.rpartition("/")[2]
    return targets


def _device_ids(request: Request) -> tuple[str, ...]:
    many = getattr(request.state, "device_ids", ())
    # What is refused early has looked at no path yet.
    one = getattr(request.state, "device_id", "") or request.path_params.get("deviceid", "")
    return tuple(dict.fromkeys([*many, *([one] if is_device_id(one) else [])]))
