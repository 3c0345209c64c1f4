"""Accounts' queues that refuse, and take again."""

from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusQuotaExceededError
from azure.servicebus.management import EntityStatus

from services.api.store.queues import Queues
from tests.ingest.local_platform import Owner, Platform


async def set_status(platform: Platform, owner: Owner, status: EntityStatus) -> None:
    """Disable or enable the account's queue."""
    admin = platform.resources.azure.service_bus_administration("local")
    queue = await admin.get_queue(_name(owner))
    queue.status = status
    await admin.update_queue(queue)


async def delete(platform: Platform, owner: Owner) -> None:
    """Delete the account's queue and what is in it."""
    admin = platform.resources.azure.service_bus_administration("local")
    await admin.delete_queue(_name(owner))


async def make_again(platform: Platform, owner: Owner) -> Owner:
    """Make a deleted queue again; it is opened with a new key."""
    window = platform.resources.settings.queue_duplicate_window
    queues = Queues(platform.resources.azure)
    return Owner(owner.user_id, await queues.ensure("local", _name(owner), window))


async def fill(platform: Platform, owner: Owner) -> int:
    """Fill the account's queue until not a byte more fits; returns the number of messages."""
    count = 0
    async with platform.resources.azure.service_bus("local").get_queue_sender(
        _name(owner)
    ) as sender:
        for size in (200_000, 20_000, 2_000, 200, 1):
            while True:
                try:
                    await sender.send_messages(ServiceBusMessage(b"x" * size))
                except ServiceBusQuotaExceededError:
                    break
                count += 1
    return count


def _name(owner: Owner) -> str:
    return f"user-{owner.user_id}"
