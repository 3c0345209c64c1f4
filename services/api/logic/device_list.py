"""One page of an account's devices."""

from services.api.logic.devices import theirs
from services.api.store.device_pages import DeviceFilter, DevicesPage
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways


async def page_of_devices(
    devices: Devices,
    gateways: Gateways,
    user_id: str,
    wanted: DeviceFilter,
    *,
    limit: int,
    cursor: str = "",
) -> DevicesPage:
    """At most `limit` devices of an account.

    A page may hold fewer before the last: what is searched for may be rare, and what is the
    account's no more is left out. Raises InvalidRequest for a cursor of another list.
    """
    page = await devices.page(user_id, wanted, limit, cursor)
    return DevicesPage(await theirs(devices, gateways, page.items), page.next)
