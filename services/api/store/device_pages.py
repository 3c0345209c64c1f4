"""An account's devices, searched, filtered, sorted and read page by page."""

from dataclasses import dataclass
from enum import StrEnum

from azure.cosmos.aio import ContainerProxy

from services.api.store.pages import read_page
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import DeviceDocument

# LOWER and not the option of CONTAINS that ignores case: that one reads the whole index of a
# property, of all accounts; this one reads this account's devices until the page is full.
_SEARCH = " OR ".join(f"CONTAINS(LOWER(c.{name}), @search)" for name in ("name", "id", "ICCID"))


class DeviceOrder(StrEnum):
    """What a list of devices is sorted by; each is a composite index of the container."""

    NAME = "name"
    STATUS = "status"
    TYPE = "type"
    APP = "app_name"
    VERSION = "app_version"
    FIRMWARE = "fwversion"
    PAIRED_AT = "paired_at"


@dataclass(frozen=True)
class DeviceFilter:
    """Which devices, and in which order; what is None does not matter."""

    search: str = ""  # in name, device id or ICCID, whatever the case
    group_id: str | None = None  # "": in no group
    status: ConnectionState | None = None
    type: str | None = None
    app_name: str | None = None
    app_version: str | None = None
    fwversion: str | None = None
    order: DeviceOrder = DeviceOrder.NAME
    descending: bool = False


@dataclass(frozen=True)
class DevicesPage:
    """Some devices, and the cursor of the next page; "" after the last."""

    items: list[DeviceDocument]
    next: str


async def read_device_page(
    container: ContainerProxy, user_id: str, wanted: DeviceFilter, limit: int, cursor: str
) -> DevicesPage:
    """At most `limit` devices; fewer, or none, where the database has searched enough.

    Raises InvalidRequest for a cursor of another list.
    """
    conditions = ["c.user_id = @user"]
    values: dict[str, object] = {"@user": user_id}
    for name in ("group_id", "status", "type", "app_name", "app_version", "fwversion"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"c.{name} = @{name}")
            values[f"@{name}"] = value
    if wanted.search:
        conditions.append(f"({_SEARCH})")
        values["@search"] = wanted.search.lower()
    direction = "DESC" if wanted.descending else "ASC"
    order = ", ".join(f"c.{name} {direction}" for name in ("user_id", wanted.order, "id"))
    found = await read_page(
        container,
        f"SELECT * FROM c WHERE {' AND '.join(conditions)} ORDER BY {order}",  # noqa: S608
        values,
        user_id,
        limit=limit,
        cursor=cursor,
    )
    return DevicesPage([DeviceDocument.model_validate(item) for item in found.items], found.next)
