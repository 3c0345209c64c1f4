"""The state of devices in container `devices`: status and reported properties."""

import asyncio
import logging
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from services.ingest.logic.state import DeviceState, StateChange
from services.ingest.store.directory import Directory
from services.ingest.store.retry import persistently
from shared.schemas.documents import DeviceDocument

log = logging.getLogger(__name__)

PATCH_OPERATIONS = 10  # Cosmos DB takes no more in one patch


class DeviceStateStore:
    """Patches devices, each only where an earlier event left it."""

    def __init__(
        self, container: ContainerProxy, directory: Directory, slots: asyncio.Semaphore
    ) -> None:
        self._container = container
        self._directory = directory
        self._slots = slots

    async def apply(self, changes: Collection[StateChange]) -> None:
        """Write all changes, a few at a time."""
        async with asyncio.TaskGroup() as tasks:
            for change in changes:
                tasks.create_task(self._apply(change))

    async def _apply(self, change: StateChange) -> None:
        operations = [_set(name, value) for name, value in change.fields.items()]
        moved = [
            _set("state_stream", change.stream),
            _set("state_position", change.position),
        ]
        # The position moves with the last patch: what a crash leaves half done is done again.
        while len(operations) + len(moved) > PATCH_OPERATIONS:
            if not await self._patch(change, operations[:PATCH_OPERATIONS]):
                return
            operations = operations[PATCH_OPERATIONS:]
        await self._patch(change, operations + moved)

    async def _patch(self, change: StateChange, operations: list[dict[str, Any]]) -> bool:
        """Whether it was written; not where a later event was, or the device is gone."""

        async def patch() -> bool:
            try:
                document = await self._container.patch_item(
                    change.device_id,
                    change.user_id,
                    operations,
                    filter_predicate=(
                        f"FROM c WHERE c.state_stream != '{change.stream}' "
                        f"OR c.state_position < {change.position}"
                    ),
                )
            except CosmosHttpResponseError as error:
                if error.status_code in (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND):
                    self._directory.forget(change.user_id, change.device_id)
                    return False
                raise
            self._directory.remember(DeviceState.of(DeviceDocument.model_validate(document)))
            return True

        async with self._slots:
            return await persistently(f"write the state of {change.device_id}", patch)


def _set(name: str, value: object) -> dict[str, Any]:
    return {"op": "set", "path": f"/{name}", "value": value}
