"""Pairing a gateway with an account, and ending it (design.md, "Who owns a message").

The gateway's document is the truth and changes under its ETag; all else follows from it and
is repeated by calling again where it was interrupted.
"""

import contextlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from services.api.logic.devices import no_such_device
from services.api.logic.ids import check_group_id, device_id_of
from services.api.store.accounts import Accounts
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.groups import Groups
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.iothub import DeviceTwin, IotHub
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import DeviceDocument, Gateway, Pairing
from shared.schemas.messages import ReportedProperties

log = logging.getLogger(__name__)

ATTEMPTS = 5  # under an ETag, before giving up
_TAGS = ("user_id", "group_id", "name")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOCATION = re.compile(r"(-?\d{1,2}(?:\.\d{1,9})?),(-?\d{1,3}(?:\.\d{1,9})?)")


@dataclass(frozen=True)
class Stores:
    """What pairing changes."""

    accounts: Accounts
    groups: Groups
    gateways: Gateways
    devices: Devices
    hub: IotHub


@dataclass(frozen=True)
class PairingRequest:
    """What an owner says about a gateway. `location` is "lat,lon" in degrees, or ""."""

    user_id: str
    device_key: str
    name: str
    location: str = ""
    group_id: str = ""


@dataclass(frozen=True)
class Paired:
    """How a pairing went. `rebooted` is False for a gateway that is offline."""

    device: DeviceDocument
    already: bool
    rebooted: bool


def current(gateway: Gateway) -> Pairing | None:
    """The pairing in force, if there is one."""
    last = gateway.pairings[-1] if gateway.pairings else None
    return last if last and last.ended_at is None else None


def owner_of(gateway: Gateway) -> str | None:
    """The user id of the account that the gateway belongs to now."""
    pairing = current(gateway)
    return pairing.user_id if pairing else None


async def pair(stores: Stores, request: PairingRequest) -> Paired:
    """Give a gateway to an account, and have it wipe what it stored for nobody or others.

    Raises InvalidRequest, NotFound (account, group or device key), Conflict (paired with
    another account) and Unavailable. Calling again completes what was interrupted; of what is
    complete it changes nothing.
    """
    device_id = device_id_of(request.device_key)
    await _check(stores, request)
    if await stores.gateways.get(device_id) is None:
        raise NotFound("No gateway has this device key; check it on the gateway's label.")
    twin = await _twin(stores.hub, device_id)
    pairing, gateway_type = await _claim(stores.gateways, device_id, request)
    document = await stores.devices.get(request.user_id, device_id)
    if document is None or document.paired_at != pairing.started_at:
        # A former owner's messages must not reach this one's app.
        await stores.hub.purge_messages(device_id)
        document = _document(request, device_id, pairing, twin, gateway_type)
        await stores.devices.put(document)
    elif pairing.completed_at:
        return Paired(document, already=True, rebooted=False)
    values = (request.user_id, document.group_id, document.name)
    await stores.hub.patch_twin(device_id, tags=dict(zip(_TAGS, values, strict=True)))
    rebooted = await _reboot(stores.hub, device_id)
    await _complete(stores, device_id, pairing)
    return Paired(document, already=False, rebooted=rebooted)


async def unpair(stores: Stores, user_id: str, device_id: str) -> None:
    """Take a gateway from its account; what it sends from now on belongs to nobody.

    Raises NotFound where it does not belong to the account. Calling again completes what was
    interrupted.
    """
    pairing = await _last_pairing(stores.gateways, user_id, device_id)
    if pairing.ended_at is None:
        # First, while nobody else can have set theirs. A gateway that the hub lost has none.
        with contextlib.suppress(NotFound):
            await stores.hub.patch_twin(device_id, tags=dict.fromkeys(_TAGS))
        await _end(stores.gateways, user_id, device_id)
    await stores.devices.delete(user_id, device_id, paired_at=pairing.started_at)


async def _check(stores: Stores, request: PairingRequest) -> None:
    if not _NAME.fullmatch(request.name):
        raise InvalidRequest("A device's name is 1 to 100 characters without control characters.")
    if request.location and not _is_location(request.location):
        raise InvalidRequest('A location is "lat,lon" in degrees, like "41.890210,12.492231".')
    if await stores.accounts.get(request.user_id) is None:
        raise NotFound("There is no account of this user id.")
    if request.group_id and (
        await stores.groups.get(request.user_id, check_group_id(request.group_id)) is None
    ):
        raise NotFound("This account has no group of this id.")


def _is_location(text: str) -> bool:
    match = _LOCATION.fullmatch(text)
    return match is not None and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180


async def _twin(hub: IotHub, device_id: str) -> DeviceTwin:
    try:
        return await hub.get_twin(device_id)
    except NotFound:
        raise Conflict(
            "The gateway is in the inventory, but IoT Hub does not know it; "
            "manufacture it again with the same device key."
        ) from None


async def _claim(
    gateways: Gateways, device_id: str, request: PairingRequest
) -> tuple[Pairing, str]:
    """The account's pairing, begun now or before, and the gateway's type."""
    for _ in range(ATTEMPTS):
        gateway, etag = await _read(gateways, device_id)
        pairing = current(gateway)
        if pairing and pairing.user_id == request.user_id:
            return pairing, gateway.type
        if pairing:
            raise Conflict("This gateway is paired with another account; it must unpair it first.")
        pairing = Pairing(
            user_id=request.user_id,
            device_name=request.name,
            started_at=max(
                [datetime.now(UTC), *(p.ended_at for p in gateway.pairings[-1:] if p.ended_at)]
            ),
        )
        claimed = gateway.model_copy(update={"pairings": [*gateway.pairings, pairing]})
        if await gateways.replace(claimed, etag):
            return pairing, gateway.type
    raise _contended()


async def _complete(stores: Stores, device_id: str, pairing: Pairing) -> None:
    for _ in range(ATTEMPTS):
        gateway, etag = await _read(stores.gateways, device_id)
        present = current(gateway)
        if present is None or present.started_at != pairing.started_at:
            await stores.devices.delete(pairing.user_id, device_id, paired_at=pairing.started_at)
            raise Conflict("The gateway was unpaired in the meantime.")
        done = present.model_copy(update={"completed_at": datetime.now(UTC)})
        if await stores.gateways.replace(_with_last(gateway, done), etag):
            return
    raise _contended()


async def _end(gateways: Gateways, user_id: str, device_id: str) -> None:
    for _ in range(ATTEMPTS):
        gateway, etag = await _read(gateways, device_id)
        pairing = current(gateway)
        if pairing is None or pairing.user_id != user_id:
            return
        ended = pairing.model_copy(update={"ended_at": max(datetime.now(UTC), pairing.started_at)})
        if await gateways.replace(_with_last(gateway, ended), etag):
            return
    raise _contended()


async def _last_pairing(gateways: Gateways, user_id: str, device_id: str) -> Pairing:
    found = await gateways.get(device_id)
    pairings = found[0].pairings if found else []
    for pairing in reversed(pairings):
        if pairing.user_id == user_id:
            return pairing
    raise no_such_device()


async def _read(gateways: Gateways, device_id: str) -> tuple[Gateway, str]:
    found = await gateways.get(device_id)
    if found is None:
        raise NotFound("The gateway is no longer in the inventory.")
    return found


def _with_last(gateway: Gateway, pairing: Pairing) -> Gateway:
    return gateway.model_copy(update={"pairings": [*gateway.pairings[:-1], pairing]})


def _contended() -> Conflict:
    return Conflict("The gateway is being changed by others at the same time; try again.")


def _document(
    request: PairingRequest,
    device_id: str,
    pairing: Pairing,
    twin: DeviceTwin,
    gateway_type: str,
) -> DeviceDocument:
    reported = _reported(twin.reported)
    connected = twin.status == ConnectionState.CONNECTED
    return DeviceDocument(
        id=device_id,
        device_id=device_id,
        user_id=request.user_id,
        device_key=request.device_key,
        group_id=request.group_id,
        name=pairing.device_name,
        type=reported.type or gateway_type,
        location=request.location,
        connectivity=reported.connectivity or "",
        fwversion=reported.fwversion or "",
        app_name=reported.app_name or "",
        app_version=reported.app_version or "",
        ICCID=reported.ICCID or "",
        status=ConnectionState.CONNECTED if connected else ConnectionState.DISCONNECTED,
        paired_at=pairing.started_at,
    )


def _reported(properties: Mapping[str, Any]) -> ReportedProperties:
    """What the gateway reported of itself; nothing where it reported nonsense."""
    try:
        return ReportedProperties.model_validate(properties)
    except ValidationError:
        log.warning("a twin's reported properties cannot be read")
        return ReportedProperties()


async def _reboot(hub: IotHub, device_id: str) -> bool:
    try:
        await hub.invoke_method(device_id, "reboot", {"wipe": True})
    except Conflict as error:
        # What it stored before the pairing is refused by its creation time all the same.
        log.info("gateway not rebooted at pairing", extra={"reason": str(error)})
        return False
    return True
