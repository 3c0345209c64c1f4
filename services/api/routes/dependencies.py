"""What the routes ask for: the open resources, the calling account, ids that were checked."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request

from services.api.logic import ids
from services.api.logic.authentication import authenticate
from services.api.resources import Resources
from shared.schemas.documents import Account

PREFIX = "/api/user/{userid}/{webapi_key}"
KEY_IN_HEADER = "-"


def opened(request: Request) -> Resources:
    """What the lifespan opened."""
    resources: Resources = request.app.state.resources
    return resources


Opened = Annotated[Resources, Depends(opened)]


async def calling_account(
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
) -> Account:
    """The account whose key this is. Raises Unauthorized."""
    key = x_api_key if webapi_key == KEY_IN_HEADER else webapi_key
    account = await authenticate(resources.accounts, userid, key)
    request.state.user_id = account.user_id
    return account


Caller = Annotated[Account, Depends(calling_account)]


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
