"""Reading an account's devices and groups.

An entry whose pairing or unpairing is under way, or was interrupted, is compared with the
gateway's own document: what is the account's no more is not shown, and removed.
"""

import asyncio
from collections.abc import Sequence

from services.api.logic.intervals import is_in_force
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.groups import Groups
from shared.errors import NotFound
from shared.schemas.documents import DeviceDocument


def no_such_device() -> NotFound:
    """The one answer for a device that does not exist and for another account's."""
    return NotFound("This account has no device of this id; GET .../devices lists those it has.")


async def get_device(
    devices: Devices, gateways: Gateways, user_id: str, device_id: str
) -> DeviceDocument:
    """Raises NotFound."""
    document = await devices.get(user_id, device_id)
    if document is None or not await _is_theirs(devices, gateways, document):
        raise no_such_device()
    return document


async def get_device_in_force(
    devices: Devices, gateways: Gateways, user_id: str, device_id: str
) -> DeviceDocument:
    """The device of the pairing in force, for whoever tells the gateway something.

    The account's entry may outlive an unpairing that was interrupted; the gateway's own document
    is the truth. Raises NotFound.
    """
    document, found = await asyncio.gather(devices.get(user_id, device_id), gateways.get(device_id))
    if document is None or found is None:
        raise no_such_device()
    if not is_in_force(found[0], user_id, document.paired_at):
        raise no_such_device()
    return document


async def devices_of_account(
    devices: Devices, gateways: Gateways, user_id: str
) -> list[DeviceDocument]:
    """All devices of an account, ordered by id."""
    return await theirs(devices, gateways, await devices.of_account(user_id))


async def devices_of_group(
    devices: Devices, gateways: Gateways, groups: Groups, user_id: str, group_id: str
) -> list[DeviceDocument]:
    """Raises NotFound for a group that the account does not have."""
    if await groups.get(user_id, group_id) is None:
        raise NotFound("This account has no group of this id; GET .../groups lists those it has.")
    return await theirs(devices, gateways, await devices.of_group(user_id, group_id))


async def theirs(
    devices: Devices, gateways: Gateways, documents: Sequence[DeviceDocument]
) -> list[DeviceDocument]:
    """Those of an account's entries that are still the account's."""
    return [each for each in documents if await _is_theirs(devices, gateways, each)]


async def _is_theirs(devices: Devices, gateways: Gateways, document: DeviceDocument) -> bool:
    if document.phase == "paired":
        return True
    found = await gateways.get(document.device_id)
    if found and is_in_force(found[0], document.user_id, document.paired_at):
        return True
    await devices.delete(document.user_id, document.device_id, paired_at=document.paired_at)
    return False
