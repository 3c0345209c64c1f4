"""Container `parked`: messages that are not delivered yet, one partition for each holder."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceNotFoundError,
)

from services.api.store.pages import read_page
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import ParkedMessage

DELETED_AT_ONCE = 100


@dataclass(frozen=True)
class Filter:
    """What is looked for: a holder's messages, of one device or reason where these are given.

    The holder is an account's user id, or the id of a device that nobody owned.
    """

    holder: str
    device_id: str = ""
    reasons: tuple[str, ...] = ()
    not_ordered_since: datetime | None = None  # leave out what was ordered after this

    @property
    def condition(self) -> str:
        conditions = [
            *(["c.device_id = @device_id"] if self.device_id else []),
            *(["ARRAY_CONTAINS(@reasons, c.reason)"] if self.reasons else []),
            *(
                ["(IS_NULL(c.ordered_at) OR c.ordered_at < @ordered)"]
                if self.not_ordered_since
                else []
            ),
        ]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    @property
    def parameters(self) -> Mapping[str, object]:
        values: Mapping[str, object] = {
            "@device_id": self.device_id,
            "@reasons": list(self.reasons),
            "@ordered": _text(self.not_ordered_since) if self.not_ordered_since else None,
        }
        condition = self.condition
        return {name: value for name, value in values.items() if name in condition}


@dataclass(frozen=True)
class Page:
    """Some messages, and where the next page begins; "" after the last."""

    messages: list[ParkedMessage]
    next: str


@dataclass(frozen=True)
class Parked:
    """Every call stays within one partition."""

    container: ContainerProxy

    async def get(self, holder: str, message_id: str) -> tuple[ParkedMessage, str] | None:
        """A point read, with the ETag that `mark` and `delete` want."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(message_id, partition_key=holder)
        except CosmosResourceNotFoundError:
            return None
        return ParkedMessage.model_validate(item), item["_etag"]

    async def page(self, wanted: Filter, limit: int, after: str = "") -> Page:
        """At most `limit` messages by sequence number; costs what the page holds.

        Raises InvalidRequest for an `after` that is no page's `next`.
        """
        found = await read_page(
            self.container,
            f"SELECT * FROM c{wanted.condition} ORDER BY c.sequence_number",  # noqa: S608
            wanted.parameters,
            wanted.holder,
            limit=limit,
            cursor=after,
        )
        return Page([ParkedMessage.model_validate(item) for item in found.items], found.next)

    async def count(self, wanted: Filter) -> int:
        """How many there are; answered from the index."""
        found = self.container.query_items(
            f"SELECT VALUE COUNT(1) FROM c{wanted.condition}",  # noqa: S608
            parameters=[
                {"name": name, "value": value} for name, value in wanted.parameters.items()
            ],
            partition_key=wanted.holder,
        )
        async with cosmos_call(LIST_SECONDS):
            # The SDK's annotation says that items are objects.
            return sum([int(str(value)) async for value in found])

    async def mark(self, message: ParkedMessage, etag: str, ordered_at: datetime) -> bool:
        """Note that its redelivery is ordered; False where it changed or went meanwhile."""
        operation = {"op": "set", "path": "/ordered_at", "value": _text(ordered_at)}
        try:
            async with cosmos_call():
                await self.container.patch_item(
                    message.id,
                    message.holder,
                    [operation],
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return False
        return True

    async def delete(self, message: ParkedMessage, etag: str) -> bool:
        """Discard it; False where it changed or went meanwhile."""
        try:
            async with cosmos_call():
                await self.container.delete_item(
                    message.id,
                    message.holder,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return False
        return True

    async def delete_of_device(self, holder: str, device_id: str) -> int:
        """Delete a holder's messages of one device; returns how many.

        What is ordered to be redelivered meanwhile is delivered all the same.
        """
        wanted, deleted = Filter(holder, device_id), 0
        while messages := (await self.page(wanted, DELETED_AT_ONCE)).messages:
            for message in messages:
                try:
                    async with cosmos_call():
                        await self.container.delete_item(message.id, holder)
                except CosmosResourceNotFoundError:
                    continue
                deleted += 1
        return deleted


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
