"""Parked messages as ingest leaves them, for tests in which it does not run."""

import secrets
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from services.api.logic import parked
from services.api.resources import Resources
from services.api.store.redeliveries import order_id
from shared.schemas.documents import ParkedMessage, Redelivery

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
STREAM = "hub/1"
Reason = Literal["malformed", "over_quota", "no_owner", "refused"]


class Parking:
    """Parks messages as ingest does, and sees which orders there are."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.stores = parked.Stores(
            resources.parked, resources.redeliveries, resources.accounts, resources.gateways
        )

    async def put(
        self,
        holder: str,
        number: int = 1,
        reason: Reason = "over_quota",
        *,
        device_id: str = f"X400_{'a' * 40}",
        body: bytes = b"21.5",
        **changes: Any,
    ) -> ParkedMessage:
        message = ParkedMessage(
            id=secrets.token_hex(16),
            holder=holder,
            device_id=device_id,
            reason=reason,
            detail="the daily quota of 100 is used up",
            mid=str(number),
            body=b64encode(body).decode(),
            properties={"type": "data"},
            annotations={"iothub-connection-device-id": device_id},
            created_at=NOON,
            stream=STREAM,
            sequence_number=number,
            enqueued_at=NOON + timedelta(seconds=1),
            ttl=3600,
        ).model_copy(update=changes)
        await self._resources.parked.container.upsert_item(message.model_dump(mode="json"))
        return message

    async def order(self, message: ParkedMessage) -> Redelivery | None:
        found = self._resources.redeliveries.container.query_items(
            "SELECT * FROM c WHERE c.id = @id",
            parameters=[{"name": "@id", "value": order_id(message.id)}],
            partition_key=message.stream,
        )
        orders = [Redelivery.model_validate(each) async for each in found]
        return orders[0] if orders else None

    async def carry_out(self, message: ParkedMessage) -> None:
        """What ingest does, in its order: the message goes first, then the order."""
        await self._resources.parked.container.delete_item(message.id, message.holder)
        await self._resources.redeliveries.container.delete_item(
            order_id(message.id), message.stream
        )
