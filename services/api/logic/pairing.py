"""Pairing a gateway with an account (design.md, "Who owns a message").

The gateway's document is the truth and changes under its ETag; all else follows from it and
is repeated by calling again where it was interrupted. Whatever runs at the same time or stops
halfway, these hold:

- The device's entry in its account is marked as under way before the truth changes, and as
  settled only after the truth was seen again. So an entry that a kill left behind is known as
  one to compare with the truth (`services.api.logic.devices`).
- The twin is written under its ETag, read before the truth was (`services.api.logic.twin_tags`).
- The device is in its group only when the pairing is complete
  (`services.api.logic.group_membership`).
"""

import logging
from dataclasses import dataclass

from services.api.logic import intervals
from services.api.logic.group_membership import hold_open
from services.api.logic.ids import device_id_of
from services.api.logic.outbox_owner import own
from services.api.logic.pairing_request import PairingRequest, check
from services.api.logic.pairing_truth import (
    ATTEMPTS,
    EndedMeanwhile,
    Stores,
    contended,
    ended_meanwhile,
    read_gateway,
    require_in_force,
)
from services.api.logic.twin_tags import order_wipe, wipe_order, write_tags
from services.api.logic.twins import with_state_of
from services.api.logic.unpairing import clean_up, unpair
from shared.errors import Conflict, NotFound
from shared.iothub import DeviceTwin, IotHub
from shared.schemas.documents import DeviceDocument, Gateway, Pairing

__all__ = [
    "Paired",
    "PairedElsewhere",
    "PairingRequest",
    "Stores",
    "UnknownKey",
    "pair",
    "unpair",
    "wipe_order",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paired:
    """How a pairing went. `already`: it was complete before, by another request than this one.
    `rebooted` is False for a gateway that is offline."""

    device: DeviceDocument
    already: bool
    rebooted: bool


class UnknownKey(NotFound):
    """No gateway has this device key."""


class PairedElsewhere(Conflict):
    """Another account has the gateway."""


async def pair(stores: Stores, request: PairingRequest) -> Paired:
    """Give a gateway to an account, and have it wipe what it stored for nobody or others.

    Raises InvalidRequest, NotFound (account or group), UnknownKey, PairedElsewhere, Conflict
    (unpaired meanwhile) and Unavailable. Calling again completes what was interrupted, as it was
    first asked for; of what is complete it changes nothing.
    """
    device_id = device_id_of(request.device_key)
    await check(stores.accounts, stores.groups, request)
    found = await stores.gateways.get(device_id)
    if found is None:
        raise UnknownKey("No gateway has this device key; check it on the gateway's label.")
    # Here already, so that the time until the answer tells no more than the answer.
    _require_free(found[0], request.user_id)
    twin = await _twin(stores.hub, device_id)
    gateway, pairing = await _claim(stores, device_id, request)
    document = await stores.devices.get(request.user_id, device_id)
    if document is None or document.paired_at != pairing.started_at:
        document = await _enter(stores, with_state_of(twin, _entry(request, gateway, pairing)))
    elif pairing.completed_at and document.phase == "paired":
        again = bool(request.order_id) and pairing.order_id == request.order_id
        return Paired(document, already=not again, rebooted=False)
    try:
        rebooted = await _reboot(stores.hub, device_id, pairing)
        await order_wipe(stores, document, twin)
        document = await _settle(stores, document)
    except EndedMeanwhile:
        await clean_up(stores, document.user_id, device_id, document.paired_at)
        raise
    return Paired(document, already=False, rebooted=rebooted)


async def _twin(hub: IotHub, device_id: str) -> DeviceTwin:
    try:
        return await hub.get_twin(device_id)
    except NotFound:
        raise Conflict(
            "The gateway is in the inventory, but IoT Hub does not know it; the platform's "
            "operator has to manufacture it again with the same device key."
        ) from None


async def _claim(
    stores: Stores, device_id: str, request: PairingRequest
) -> tuple[Gateway, Pairing]:
    """The gateway with the account's pairing, begun now or before."""
    for _ in range(ATTEMPTS):
        gateway, etag = await read_gateway(stores.gateways, device_id)
        pairing = intervals.current(gateway)
        if pairing and pairing.user_id == request.user_id:
            return gateway, pairing
        _require_free(gateway, request.user_id)
        claimed = intervals.begun(
            gateway, request.user_id, request.name, stores.clock(), request.order_id
        )
        if await stores.gateways.replace(claimed, etag):
            return claimed, claimed.pairings[-1]
    raise contended()


def _require_free(gateway: Gateway, user_id: str) -> None:
    """Free for this account, or its own."""
    if intervals.owner_of(gateway) not in (None, user_id):
        raise PairedElsewhere(
            "This gateway is paired with another account; it must unpair it first."
        )


def _entry(request: PairingRequest, gateway: Gateway, pairing: Pairing) -> DeviceDocument:
    return DeviceDocument(
        id=gateway.device_id,
        device_id=gateway.device_id,
        user_id=request.user_id,
        device_key=request.device_key,
        joining=request.group_id,
        name=pairing.device_name,
        type=gateway.type,
        location=request.location,
        paired_at=pairing.started_at,
        phase="pairing",
    )


async def _enter(stores: Stores, document: DeviceDocument) -> DeviceDocument:
    """The device's entry of this pairing: made, or made meanwhile by a call like this one."""
    # A former owner's messages must not reach this one's app: none is sent after this, and those
    # that were are dropped.
    await own(
        stores.user_messages,
        document.device_id,
        document.user_id,
        document.paired_at,
        stores.clock,
    )
    await stores.hub.purge_messages(document.device_id)
    for _ in range(ATTEMPTS):
        found = await stores.devices.get_with_etag(document.user_id, document.device_id)
        if found and found[0].paired_at > document.paired_at:
            raise ended_meanwhile()
        if found and found[0].paired_at == document.paired_at:
            return found[0]
        if await stores.devices.put(document, found[1] if found else None):
            return document
    raise contended()


async def _reboot(hub: IotHub, device_id: str, pairing: Pairing) -> bool:
    try:
        await hub.invoke_method(device_id, "reboot", {"wipe": wipe_order(pairing.started_at)})
    except Conflict as error:
        # It finds the order in its twin; what it stored before is refused by its time anyway.
        log.info("gateway not rebooted at pairing", extra={"reason": str(error)})
        return False
    return True


async def _settle(stores: Stores, document: DeviceDocument) -> DeviceDocument:
    """Complete the pairing, and the device's entry with the state of its twin.

    What the gateway reported since the pairing began is in the twin or comes to ingest after
    the entry was made; its ETag tells if ingest wrote meanwhile. Completing changes the
    truth's ETag, so an unpairing that is under way marks the entry anew before it goes on.
    """
    for _ in range(ATTEMPTS):
        found = await stores.devices.get_with_etag(document.user_id, document.device_id)
        twin = await stores.hub.get_twin(document.device_id)
        gateway, etag = await read_gateway(stores.gateways, document.device_id)
        require_in_force(gateway, document)
        if found is None:
            raise ended_meanwhile()
        done = intervals.completed(gateway, stores.clock())
        if not await stores.gateways.replace(done, etag):
            continue
        settled = with_state_of(twin, await _in_its_group(stores, found[0]))
        if not await stores.devices.put(settled, found[1]):
            continue
        if settled.group_id != document.joining:
            await write_tags(stores, settled)
        return settled
    raise contended()


async def _in_its_group(stores: Stores, entry: DeviceDocument) -> DeviceDocument:
    """The entry of a complete pairing; without a group where that was deleted meanwhile."""
    changes = {"phase": "paired", "joining": ""}
    if entry.joining and await hold_open(stores.groups, entry.user_id, entry.joining):
        changes["group_id"] = entry.joining
    return entry.model_copy(update=changes)
