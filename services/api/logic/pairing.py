"""Pairing a gateway with an account, and ending it (design.md, "Who owns a message").

The gateway's document is the truth and changes under its ETag; all else follows from it and
is repeated by calling again where it was interrupted. Whatever runs at the same time or stops
halfway, these hold:

- The device's entry in its account is marked as under way before the truth changes, and as
  settled only after the truth was seen again. So an entry that a kill left behind is known as
  one to compare with the truth (`services.api.logic.devices`).
- The twin is written under its ETag, read before the truth was. So the tags of a pairing that
  ended in the meantime are never set, and those of a later one never overwritten.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.logic import intervals
from services.api.logic.devices import no_such_device
from services.api.logic.ids import device_id_of
from services.api.logic.pairing_request import PairingRequest, check
from services.api.logic.twins import with_state_of
from services.api.store.accounts import Accounts
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.groups import Groups
from shared.errors import Conflict, NotFound
from shared.iothub import DeviceTwin, IotHub
from shared.iothub_refusals import TwinChanged
from shared.schemas.documents import DeviceDocument, Gateway, Pairing

__all__ = ["Paired", "PairingRequest", "Stores", "pair", "unpair"]

log = logging.getLogger(__name__)

ATTEMPTS = 10  # under an ETag, before giving up
TAGS = ("user_id", "group_id", "name")


def utc_now() -> datetime:
    """The clock of pairings."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Stores:
    """What pairing changes."""

    accounts: Accounts
    groups: Groups
    gateways: Gateways
    devices: Devices
    hub: IotHub
    clock: Callable[[], datetime] = utc_now


@dataclass(frozen=True)
class Paired:
    """How a pairing went. `rebooted` is False for a gateway that is offline."""

    device: DeviceDocument
    already: bool
    rebooted: bool


class EndedMeanwhile(Conflict):
    """The pairing that is being made was ended by somebody else."""


async def pair(stores: Stores, request: PairingRequest) -> Paired:
    """Give a gateway to an account, and have it wipe what it stored for nobody or others.

    Raises InvalidRequest, NotFound (account, group or device key), Conflict (paired with
    another account, or unpaired meanwhile) and Unavailable. Calling again completes what was
    interrupted; of what is complete it changes nothing.
    """
    device_id = device_id_of(request.device_key)
    await check(stores.accounts, stores.groups, request)
    if await stores.gateways.get(device_id) is None:
        raise NotFound("No gateway has this device key; check it on the gateway's label.")
    twin = await _twin(stores.hub, device_id)
    gateway, pairing = await _claim(stores, device_id, request)
    document = await stores.devices.get(request.user_id, device_id)
    if document is None or document.paired_at != pairing.started_at:
        document = await _enter(stores, with_state_of(twin, _entry(request, gateway, pairing)))
    elif pairing.completed_at and document.phase == "paired":
        return Paired(document, already=True, rebooted=False)
    try:
        rebooted = await _reboot(stores.hub, device_id, pairing)
        await _write_twin(stores, document, twin.etag)
        document = await _settle(stores, document)
    except EndedMeanwhile:
        await _clean_up(stores, document.user_id, device_id, document.paired_at)
        raise
    return Paired(document, already=False, rebooted=rebooted)


async def unpair(stores: Stores, user_id: str, device_id: str) -> None:
    """Take a gateway from its account; what it sends from now on belongs to nobody.

    Raises NotFound where it does not belong to the account. Calling again completes what was
    interrupted.
    """
    for _ in range(ATTEMPTS):
        found = await stores.gateways.get(device_id)
        pairings = found[0].pairings if found else []
        pairing = next((each for each in reversed(pairings) if each.user_id == user_id), None)
        if found is None or pairing is None:
            raise no_such_device()
        if pairing.ended_at is None:
            await _mark_leaving(stores.devices, user_id, device_id)
            ended = intervals.ended(found[0], stores.clock())
            if not await stores.gateways.replace(ended, found[1]):
                continue
        await _clean_up(stores, user_id, device_id, pairing.started_at)
        return
    raise _contended()


async def _twin(hub: IotHub, device_id: str) -> DeviceTwin:
    try:
        return await hub.get_twin(device_id)
    except NotFound:
        raise Conflict(
            "The gateway is in the inventory, but IoT Hub does not know it; "
            "manufacture it again with the same device key."
        ) from None


async def _claim(
    stores: Stores, device_id: str, request: PairingRequest
) -> tuple[Gateway, Pairing]:
    """The gateway with the account's pairing, begun now or before."""
    for _ in range(ATTEMPTS):
        gateway, etag = await _read(stores.gateways, device_id)
        pairing = intervals.current(gateway)
        if pairing and pairing.user_id == request.user_id:
            return gateway, pairing
        if pairing:
            raise Conflict("This gateway is paired with another account; it must unpair it first.")
        claimed = intervals.begun(gateway, request.user_id, request.name, stores.clock())
        if await stores.gateways.replace(claimed, etag):
            return claimed, claimed.pairings[-1]
    raise _contended()


def _entry(request: PairingRequest, gateway: Gateway, pairing: Pairing) -> DeviceDocument:
    return DeviceDocument(
        id=gateway.device_id,
        device_id=gateway.device_id,
        user_id=request.user_id,
        device_key=request.device_key,
        group_id=request.group_id,
        name=pairing.device_name,
        type=gateway.type,
        location=request.location,
        paired_at=pairing.started_at,
        phase="pairing",
    )


async def _enter(stores: Stores, document: DeviceDocument) -> DeviceDocument:
    """The device's entry of this pairing: made, or made meanwhile by a call like this one."""
    # A former owner's messages must not reach this one's app.
    await stores.hub.purge_messages(document.device_id)
    for _ in range(ATTEMPTS):
        found = await stores.devices.get_with_etag(document.user_id, document.device_id)
        if found and found[0].paired_at > document.paired_at:
            raise _ended_meanwhile()
        if found and found[0].paired_at == document.paired_at:
            return found[0]
        if await stores.devices.put(document, found[1] if found else None):
            return document
    raise _contended()


async def _reboot(hub: IotHub, device_id: str, pairing: Pairing) -> bool:
    try:
        await hub.invoke_method(device_id, "reboot", {"wipe": wipe_order(pairing.started_at)})
    except Conflict as error:
        # It finds the order in its twin; what it stored before is refused by its time anyway.
        log.info("gateway not rebooted at pairing", extra={"reason": str(error)})
        return False
    return True


def wipe_order(started_at: datetime) -> str:
    """What tells a gateway to wipe, once for each pairing; a later pairing's is greater."""
    return started_at.isoformat(timespec="microseconds")


async def _write_twin(stores: Stores, document: DeviceDocument, etag: str) -> None:
    """`etag` is the twin's, read before the pairing was seen in force."""
    values = (document.user_id, document.group_id, document.name)
    for _ in range(ATTEMPTS):
        try:
            await stores.hub.patch_twin(
                document.device_id,
                desired={"wipe": wipe_order(document.paired_at)},
                tags=dict(zip(TAGS, values, strict=True)),
                etag=etag,
            )
        except TwinChanged:
            etag = (await stores.hub.get_twin(document.device_id)).etag
            gateway, _ = await _read(stores.gateways, document.device_id)
            _require_in_force(gateway, document)
            continue
        return
    raise _contended()


async def _settle(stores: Stores, document: DeviceDocument) -> DeviceDocument:
    """Complete the pairing, and the device's entry with the state of its twin.

    What the gateway reported since the pairing began is in the twin or comes to ingest after
    the entry was made; its ETag tells if ingest wrote meanwhile. Completing changes the
    truth's ETag, so an unpairing that is under way marks the entry anew before it goes on.
    """
    for _ in range(ATTEMPTS):
        found = await stores.devices.get_with_etag(document.user_id, document.device_id)
        twin = await stores.hub.get_twin(document.device_id)
        gateway, etag = await _read(stores.gateways, document.device_id)
        _require_in_force(gateway, document)
        if found is None:
            raise _ended_meanwhile()
        done = intervals.completed(gateway, stores.clock())
        if not await stores.gateways.replace(done, etag):
            continue
        settled = with_state_of(twin, found[0]).model_copy(update={"phase": "paired"})
        if await stores.devices.put(settled, found[1]):
            return settled
    raise _contended()


async def _mark_leaving(devices: Devices, user_id: str, device_id: str) -> None:
    for _ in range(ATTEMPTS):
        found = await devices.get_with_etag(user_id, device_id)
        if found is None:
            return
        if await devices.put(found[0].model_copy(update={"phase": "unpairing"}), found[1]):
            return
    raise _contended()


async def _clean_up(stores: Stores, user_id: str, device_id: str, started_at: datetime) -> None:
    """Remove what a pairing that has ended left: the tags, if nobody has the gateway now, and
    the device's entry."""
    for _ in range(ATTEMPTS):
        try:
            twin = await stores.hub.get_twin(device_id)
            gateway, _ = await _read(stores.gateways, device_id)
            if intervals.current(gateway) is None:
                await stores.hub.patch_twin(device_id, tags=dict.fromkeys(TAGS), etag=twin.etag)
        except TwinChanged:
            continue
        except NotFound:
            log.info("IoT Hub does not know the gateway any more")
        await stores.devices.delete(user_id, device_id, paired_at=started_at)
        return
    raise _contended()


async def _read(gateways: Gateways, device_id: str) -> tuple[Gateway, str]:
    found = await gateways.get(device_id)
    if found is None:
        raise NotFound("The gateway is no longer in the inventory.")
    return found


def _require_in_force(gateway: Gateway, document: DeviceDocument) -> None:
    if not intervals.is_in_force(gateway, document.user_id, document.paired_at):
        raise _ended_meanwhile()


def _ended_meanwhile() -> EndedMeanwhile:
    return EndedMeanwhile("The gateway was unpaired in the meantime.")


def _contended() -> Conflict:
    return Conflict("The gateway is being changed by others at the same time; try again.")
