"""Taking a gateway from its account (design.md, "Who owns a message"); see `pairing`."""

import logging
from datetime import datetime

from services.api.logic import intervals
from services.api.logic.devices import no_such_device
from services.api.logic.outbox_owner import disown
from services.api.logic.pairing_truth import ATTEMPTS, Stores, contended
from services.api.logic.twin_tags import remove_tags
from services.api.store.devices import Devices
from shared.errors import NotFound

log = logging.getLogger(__name__)


async def unpair(stores: Stores, user_id: str, device_id: str) -> None:
    """Take a gateway from its account; what it sends from now on belongs to nobody.

    Raises NotFound where it never belonged to the account, Conflict and Unavailable. Calling
    again completes what was interrupted.
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
        await clean_up(stores, user_id, device_id, pairing.started_at)
        return
    raise contended()


async def clean_up(stores: Stores, user_id: str, device_id: str, started_at: datetime) -> None:
    """Remove what a pairing that has ended left: user messages on their way, the tags, if nobody
    has the gateway now, and the device's entry."""
    try:
        if await disown(stores.user_messages, device_id, user_id, started_at, stores.clock):
            await stores.hub.purge_messages(device_id)
        await remove_tags(stores, device_id)
    except NotFound:
        log.info("IoT Hub does not know the gateway any more")
    await stores.devices.delete(user_id, device_id, paired_at=started_at)


async def _mark_leaving(devices: Devices, user_id: str, device_id: str) -> None:
    for _ in range(ATTEMPTS):
        found = await devices.get_with_etag(user_id, device_id)
        if found is None:
            return
        if await devices.put(found[0].model_copy(update={"phase": "unpairing"}), found[1]):
            return
    raise contended()
