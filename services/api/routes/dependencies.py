"""What the routes ask for: the open resources, the calling account, ids that were checked."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Header, Path, Request

from services.api.logic import access, ids
from services.api.logic.access import Principal
from services.api.logic.authentication import authenticate
from services.api.resources import Resources
from shared.schemas.accounts import Account

PREFIX = "/api/user/{userid}/{webapi_key}"
KEY_IN_HEADER = "-"


def opened(request: Request) -> Resources:
    """What the lifespan opened."""
    resources: Resources = request.app.state.resources
    return resources


Opened = Annotated[Resources, Depends(opened)]


@dataclass(frozen=True)
class Calling:
    """Who calls: the account, and whoever does it for the account."""

    account: Account
    principal: Principal

    @property
    def user_id(self) -> str:
        """The account's."""
        return self.account.user_id


async def calling(
    request: Request,
    resources: Opened,
    userid: Annotated[
        str, Path(description="The account's UserID.", examples=["u3f9c2d41a07be586"])
    ],
    webapi_key: Annotated[
        str,
        Path(
            description=(
                "The account's API key; or `-`, and the key in the header `X-API-Key`, "
                "so that it stands in no URL."
            ),
            examples=["-"],
        ),
    ],
    x_api_key: Annotated[
        str, Header(description="The API key, where the path has `-` in its place.")
    ] = "",
) -> Calling:
    """Whoever calls, if they may make this call. Raises Unauthorized, Forbidden."""
    key = x_api_key if webapi_key == KEY_IN_HEADER else webapi_key
    now = datetime.now(UTC)
    caller = Calling(*await authenticate(resources.accounts, userid, key, now))
    request.state.user_id = caller.user_id
    request.state.caller = caller
    access.require(caller.principal, request.scope["route"].operation_id)
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
