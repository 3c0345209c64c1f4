"""What the twin says of a pairing: tags, the order to wipe, and that no settings or orders to
install something are left.

It is written under its ETag, read before the pairing and the device's entry were. So the tags of
a pairing that ended, or of a group that the device left, never stay.
"""

from datetime import datetime

from services.api.logic import intervals
from services.api.logic.pairing_truth import (
    ATTEMPTS,
    Stores,
    contended,
    ended_meanwhile,
    read_gateway,
    require_in_force,
)
from shared.iothub import DeviceTwin
from shared.iothub_refusals import TwinChanged
from shared.schemas.documents import DeviceDocument

TAGS = ("user_id", "group_id", "name")
# Desired properties that belong to a pairing: no other may find them.
OF_PAIRING = ("settings", "ota_app", "ota_firmware")


def wipe_order(started_at: datetime) -> str:
    """What tells a gateway to wipe, once for each pairing; a later pairing's is greater."""
    return started_at.isoformat(timespec="microseconds")


async def order_wipe(stores: Stores, document: DeviceDocument, twin: DeviceTwin) -> None:
    """The order to wipe, and the tags. `twin` was read before `document` was.

    With the first order of a pairing the settings of the one before it go, and what was to be
    installed: so settings beside an order are always that pairing's own
    (`services.api.logic.device_settings`).

    Raises EndedMeanwhile, NotFound (the hub does not know the gateway), Conflict, Unavailable.
    """
    for _ in range(ATTEMPTS):
        desired: dict[str, object] = {"wipe": wipe_order(document.paired_at)}
        if twin.desired.get("wipe") != desired["wipe"]:
            desired |= dict.fromkeys(OF_PAIRING)
        try:
            await stores.hub.patch_twin(
                document.device_id, desired=desired, tags=_tags(document), etag=twin.etag
            )
        except TwinChanged:
            twin = await stores.hub.get_twin(document.device_id)
            document = await _in_force(stores, document)
            continue
        return
    raise contended()


async def write_tags(stores: Stores, document: DeviceDocument) -> None:
    """The tags, where they are others. Raises as `order_wipe` does."""
    for _ in range(ATTEMPTS):
        twin = await stores.hub.get_twin(document.device_id)
        document = await _in_force(stores, document)
        tags = _tags(document)
        if {name: twin.tags.get(name) for name in TAGS} == tags:
            return
        try:
            await stores.hub.patch_twin(document.device_id, tags=tags, etag=twin.etag)
        except TwinChanged:
            continue
        return
    raise contended()


async def remove_tags(stores: Stores, device_id: str) -> None:
    """And the settings, and what is to be installed, where nobody has the gateway now.

    Raises NotFound, Conflict, Unavailable.
    """
    for _ in range(ATTEMPTS):
        twin = await stores.hub.get_twin(device_id)
        gateway, _ = await read_gateway(stores.gateways, device_id)
        if intervals.current(gateway) is not None:
            return
        try:
            await stores.hub.patch_twin(
                device_id,
                desired=dict.fromkeys(OF_PAIRING),
                tags=dict.fromkeys(TAGS),
                etag=twin.etag,
            )
        except TwinChanged:
            continue
        return
    raise contended()


async def _in_force(stores: Stores, document: DeviceDocument) -> DeviceDocument:
    """The device's entry as it is now."""
    entry = await stores.devices.get(document.user_id, document.device_id)
    gateway, _ = await read_gateway(stores.gateways, document.device_id)
    require_in_force(gateway, document)
    if entry is None or entry.paired_at != document.paired_at:
        raise ended_meanwhile()
    return entry


def _tags(document: DeviceDocument) -> dict[str, object]:
    # Being paired, it is in its group as soon as that is complete; else `joining` tells nothing.
    joining = document.joining if document.phase == "pairing" else ""
    values = (document.user_id, joining or document.group_id, document.name)
    return dict(zip(TAGS, values, strict=True))
