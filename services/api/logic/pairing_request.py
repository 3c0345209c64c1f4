"""What an owner says to pair a gateway, and what of it is refused."""

import re
from dataclasses import dataclass

from services.api.logic.group_membership import get_group
from services.api.store.accounts import Accounts
from services.api.store.groups import Groups
from shared.errors import InvalidRequest, NotFound

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOCATION = re.compile(r"(-?\d{1,2}(?:\.\d{1,9})?),(-?\d{1,3}(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True)
class PairingRequest:
    """What an owner says about a gateway. `location` is "lat,lon" in degrees, or "".

    `order_id` names the request: sent again, it is told as made, not as made before.
    """

    user_id: str
    device_key: str
    name: str
    location: str = ""
    group_id: str = ""
    order_id: str = ""


async def check(accounts: Accounts, groups: Groups, request: PairingRequest) -> None:
    """Raises InvalidRequest, and NotFound for an account or group that does not exist."""
    check_name(request.name)
    if request.location:
        check_location(request.location)
    if await accounts.get(request.user_id) is None:
        raise NotFound("There is no account of this user id.")
    if request.group_id:
        await get_group(groups, request.user_id, request.group_id)


def check_name(text: str) -> None:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(text) or not text.strip():
        raise InvalidRequest("A device's name is 1 to 100 characters without control characters.")


def check_location(text: str) -> None:
    """Raises InvalidRequest."""
    match = _LOCATION.fullmatch(text)
    if match is None or abs(float(match[1])) > 90 or abs(float(match[2])) > 180:
        raise InvalidRequest('A location is "lat,lon" in degrees, like "41.890210,12.492231".')
