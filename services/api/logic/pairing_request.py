"""What an owner says to pair a gateway, and what of it is refused."""

import re
from dataclasses import dataclass

from services.api.logic.ids import check_group_id
from services.api.store.accounts import Accounts
from services.api.store.groups import Groups
from shared.errors import InvalidRequest, NotFound

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOCATION = re.compile(r"(-?\d{1,2}(?:\.\d{1,9})?),(-?\d{1,3}(?:\.\d{1,9})?)")


@dataclass(frozen=True)
class PairingRequest:
    """What an owner says about a gateway. `location` is "lat,lon" in degrees, or ""."""

    user_id: str
    device_key: str
    name: str
    location: str = ""
    group_id: str = ""


async def check(accounts: Accounts, groups: Groups, request: PairingRequest) -> None:
    """Raises InvalidRequest, and NotFound for an account or group that does not exist."""
    if not _NAME.fullmatch(request.name):
        raise InvalidRequest("A device's name is 1 to 100 characters without control characters.")
    if request.location and not _is_location(request.location):
        raise InvalidRequest('A location is "lat,lon" in degrees, like "41.890210,12.492231".')
    if await accounts.get(request.user_id) is None:
        raise NotFound("There is no account of this user id.")
    if request.group_id and (
        await groups.get(request.user_id, check_group_id(request.group_id)) is None
    ):
        raise NotFound("This account has no group of this id.")


def _is_location(text: str) -> bool:
    match = _LOCATION.fullmatch(text)
    return match is not None and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180
