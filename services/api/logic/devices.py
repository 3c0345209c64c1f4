"""Reading an account's devices and groups."""

from services.api.store.devices import Devices
from services.api.store.groups import Groups
from shared.errors import NotFound
from shared.schemas.documents import DeviceDocument


def no_such_device() -> NotFound:
    """The one answer for a device that does not exist and for another account's."""
    return NotFound("This account has no device of this id; GET .../devices lists those it has.")


async def get_device(devices: Devices, user_id: str, device_id: str) -> DeviceDocument:
    """Raises NotFound."""
    document = await devices.get(user_id, device_id)
    if document is None:
        raise no_such_device()
    return document


async def devices_of_group(
    devices: Devices, groups: Groups, user_id: str, group_id: str
) -> list[DeviceDocument]:
    """Raises NotFound for a group that the account does not have."""
    if await groups.get(user_id, group_id) is None:
        raise NotFound("This account has no group of this id; GET .../groups lists those it has.")
    return await devices.of_group(user_id, group_id)
