"""Waits until everything is quiet: sent, taken, committed, delivered, read."""

import asyncio
import time
from collections.abc import Callable

from azure.core.exceptions import AzureError
from azure.eventhub.exceptions import EventHubError

from tests.ledger.evidence import Documents, read_documents
from tests.ledger.stream import ends
from tests.ledger.world import World

LOOK_SECONDS = 0.5
DESIRED_LOOKS = 2  # quiet one after another


async def settle(world: World, seconds: float, say: Callable[[str], None]) -> None:
    """Until all is quiet, or time is up: then what is missing stands in `world.unsettled`.

    Stops the fleets and then ingest.
    """
    deadline = time.monotonic() + seconds
    for fleet in world.fleets:
        while not world.idle(fleet):
            if time.monotonic() > deadline:
                world.unsettled.append(f"{fleet} has not delivered everything")
                break
            await asyncio.sleep(LOOK_SECONDS)
    say("the gateways have delivered everything")
    for fleet in world.fleets:
        await world.stack.processes[fleet].stop()
    quiet = 0
    while quiet < DESIRED_LOOKS:
        waits = await _look(world)
        quiet = quiet + 1 if not waits else 0
        if waits and time.monotonic() > deadline:
            world.unsettled += waits
            break
        await asyncio.sleep(LOOK_SECONDS)
    say("ingest is at the end of the stream, and the queues are read")
    for name in world.setting.ingests:
        await world.stack.processes[name].stop()


async def _look(world: World) -> list[str]:
    """What is not quiet yet."""
    try:
        last = await ends(world.stack.endpoints.eventhub)
        documents = await read_documents(world.platform.resources.azure.database)
        return (
            _behind(documents, last) + _held(documents) + _waiting(documents) + await _unread(world)
        )
    except (AzureError, EventHubError, OSError) as error:
        return [f"the local Azure does not answer: {type(error).__name__}"]


def _behind(documents: Documents, last: dict[str, int]) -> list[str]:
    found = []
    for partition, end in last.items():
        position = documents.positions.get(partition)
        at = position.sequence_number if position else -1
        if at < end:
            found.append(f"partition {partition} is committed up to {at}, its end is {end}")
    return found


def _held(documents: Documents) -> list[str]:
    held = [
        f"partition {partition} holds messages of {user_id} back"
        for partition, position in documents.positions.items()
        for user_id in position.held
    ]
    refused = [each for each in documents.parked if each.reason == "refused"]
    return held + [f"{each.id} of {each.holder} waits for its queue" for each in refused]


def _waiting(documents: Documents) -> list[str]:
    """What somebody ordered, or a first owner shall have."""
    waits = [
        f"{each.id} waits for the first owner of {each.device_id}"
        for each in documents.parked
        if each.reason == "no_owner" and documents.gateways[each.device_id].pairings
    ]
    return waits + ([f"{documents.orders} orders to redeliver"] if documents.orders else [])


async def _unread(world: World) -> list[str]:
    """Messages that their readers have not completed."""
    admin = world.platform.resources.azure.service_bus_administration("local")
    found = []
    for owner in world.owners:
        runtime = await admin.get_queue_runtime_properties(f"user-{owner.user_id}")
        if runtime.total_message_count:
            found.append(f"{runtime.total_message_count} on the queue of {owner.user_id}")
    return found
