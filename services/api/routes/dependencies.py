"""What the routes ask for: the open resources, the calling account, ids that were checked."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Request

from services.api.logic import access, ids
from services.api.logic.access import Principal
from services.api.logic.authentication import authenticate
from services.api.logic.sessions import person_of
from services.api.resources import Resources
from shared.errors import Unauthorized
from shared.schemas.accounts import Account

PREFIX = "/api/user/{userid}/{webapi_key}"
KEY_IN_HEADER = "-"


def opened(request: Request) -> Resources:
    """What the lifespan opened."""
    resources: Resources = request.app.state.resources
    return resources


Opened = Annotated[Resources, Depends(opened)]


def client_address(request: Request) -> str:
    """Where the call comes from; "" where that is unknown."""
    return request.client.host if request.client else ""


@dataclass(frozen=True)
class Calling:
    """Who calls: the account, and whoever does it for the account."""

    account: Account
    principal: Principal

    @property
    def user_id(self) -> str:
        """The account's."""
        return self.account.user_id


async def identify(request: Request) -> Calling:
    """Whoever calls, before anything else of the call is looked at.

    Raises Unauthorized, and TooMany without looking where too many wrong keys came from there.
    """
    user_id, key = request.path_params["userid"], request.path_params["webapi_key"]
    if key == KEY_IN_HEADER:
        key = request.headers.get("X-API-Key", "")
    token = bearer_token(request.headers.get("Authorization", ""))
    if not key and not token:
        raise Unauthorized(
            "No key was sent: where the path has '-', send it in the header X-API-Key, or a "
            "session's token as 'Authorization: Bearer'."
        )
    resources = opened(request)
    address = client_address(request)
    wrong_keys, shown = resources.limits.wrong_keys, f"{user_id} {key or token}"
    wrong_keys.require_room(address, shown)
    try:
        if token and not key:
            found = await person_of(resources.sessions, resources.accounts, user_id, token)
        else:
            found = await authenticate(resources.accounts, user_id, key, datetime.now(UTC))
    except Unauthorized:
        wrong_keys.was_wrong(address, shown)
        raise
    wrong_keys.was_right(shown)
    caller = Calling(*found)
    request.state.user_id = caller.user_id
    request.state.caller = caller
    return caller


def bearer_token(authorization: str) -> str:
    """The token of an `Authorization` header (RFC 6750, section 2.1); "" where it has none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(request: Request, caller: Calling, operation: str) -> None:
    """Let the caller make this call, and note the use of its key. Raises Forbidden."""
    access.require(caller.principal, operation)
    if caller.principal.kind == "key":
        opened(request).key_uses.note(
            caller.user_id,
            caller.principal.id,
            operation,
            client_address(request),
            datetime.now(UTC),
        )


def calling(
    request: Request,
    _userid: Annotated[
        str,
        Path(alias="userid", description="The account's UserID.", examples=["u3f9c2d41a07be586"]),
    ],
    _webapi_key: Annotated[
        str,
        Path(
            alias="webapi_key",
            description=(
                "The account's API key; or `-`, and the key in the header `X-API-Key` or a "
                "person's session in `Authorization: Bearer`, so that neither stands in a URL."
            ),
            examples=["-"],
        ),
    ],
) -> Calling:
    """Whoever calls, as CustomerRoute (routes/router.py) has found out already."""
    caller: Calling = request.state.caller
    return caller


Caller = Annotated[Calling, Depends(calling)]


def device_id(
    request: Request,
    _caller: Caller,
    deviceid: Annotated[
        str,
        Path(
            description="The DEVICE's `device_id`.",
            examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
        ),
    ],
) -> str:
    """Raises InvalidRequest, after the caller is known."""
    checked = ids.check_device_id(deviceid)
    request.state.device_id = checked
    return checked


DeviceId = Annotated[str, Depends(device_id)]


def group_id(
    _caller: Caller,
    groupid: Annotated[str, Path(description="The GROUP's `id`.", examples=["g5b1d0c9e8f7a6423"])],
) -> str:
    """Raises InvalidRequest, after the caller is known."""
    return ids.check_group_id(groupid)


GroupId = Annotated[str, Depends(group_id)]
