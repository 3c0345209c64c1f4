"""Deleting a device: the gateway leaves the account, and what it said may go with it."""

from dataclasses import dataclass

from services.api.logic import parked, unpairing
from services.api.logic.pairing_truth import Stores
from services.api.store.notifications import Notifications
from services.api.store.parked import Filter
from services.api.store.timeline import Timeline
from services.api.store.user_messages import UserMessages


@dataclass(frozen=True)
class History:
    """Where an account's history of a device is kept."""

    notifications: Notifications
    timeline: Timeline
    user_messages: UserMessages
    parked: parked.Stores


async def delete_device(
    stores: Stores, history: History, *, user_id: str, device_id: str, with_history: bool
) -> None:
    """Unpair; with its history, also delete this account's notifications, timeline, user messages
    and parked messages of the device.

    What is on its way to the database at this moment may still arrive there. Raises NotFound
    where the gateway never was this account's, Conflict and Unavailable. Calling again completes
    what was interrupted, and deletes a history that was kept.
    """
    await unpairing.unpair(stores, user_id, device_id)
    if not with_history:
        return
    await history.notifications.delete_of_device(user_id, device_id)
    await history.timeline.delete_of(user_id, device_id)
    wanted = Filter(user_id, device_id=device_id)
    total = await history.parked.parked.count(wanted)
    async for _ in parked.discard_all(history.parked, wanted, total):
        pass  # one that is being delivered right now stays, and is delivered
    await history.user_messages.delete_of(user_id, device_id)
