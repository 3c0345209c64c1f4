"""A change feed of Cosmos DB, read again and again, that says how fresh it is."""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

from azure.cosmos.aio import ContainerProxy
from pydantic import ValidationError

from services.ingest.store.retry import TRANSIENT, brief, delays

log = logging.getLogger(__name__)

PAGE_ITEMS = 1000


class ChangeFeed:
    """Tells `apply` of each document that changes in a container, from the first read on.

    Deletes are not in it (Cosmos DB, latest-version mode).
    """

    def __init__(
        self,
        container: ContainerProxy,
        apply: Callable[[Mapping[str, Any]], None],
        seconds: float,
    ) -> None:
        self._container = container
        self._apply = apply
        self._seconds = seconds
        self._continuation: str | None = None
        self._fresh_from = float("-inf")  # when the last read that succeeded began, loop time
        self._wanted = asyncio.Event()
        self._advanced = asyncio.Condition()

    async def run(self) -> None:
        """Read for ever: every `seconds`, and at once when someone waits."""
        waits = delays()
        while True:
            try:
                await self._read()
                waits = delays()
            except TRANSIENT as error:
                log.warning(
                    "cannot read the change feed; trying again",
                    extra={"container": self._container.id, "error": brief(error)},
                )
                await asyncio.sleep(next(waits))
                continue
            try:
                async with asyncio.timeout(self._seconds):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def after(self, moment: float) -> None:
        """Wait until everything that was committed before `moment` (loop time) is applied."""
        if self._fresh_from >= moment:
            return
        self._wanted.set()
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._fresh_from >= moment)

    async def _read(self) -> None:
        self._wanted.clear()
        began = asyncio.get_running_loop().time()
        headers: Mapping[str, Any] = {}

        def remember(response: Mapping[str, Any], _result: object) -> None:
            nonlocal headers
            headers = response

        async for document in self._changes(remember):
            try:
                self._apply(document)
            except ValidationError as error:
                log.error(  # noqa: TRY400 - whose document it is matters, not where it was read
                    "a document that cannot be understood is ignored",
                    extra={
                        "container": self._container.id,
                        "id": document["id"],
                        "error": brief(error),
                    },
                )
        # The SDK puts its composite continuation into the headers of the last response, also
        # where that one had no documents.
        self._continuation = headers["etag"]
        async with self._advanced:
            self._fresh_from = began
            self._advanced.notify_all()

    def _changes(
        self, hook: Callable[[Mapping[str, Any], object], None]
    ) -> AsyncIterable[Mapping[str, Any]]:
        if self._continuation is None:
            return self._container.query_items_change_feed(
                start_time="Now", max_item_count=PAGE_ITEMS, response_hook=hook
            )
        return self._container.query_items_change_feed(
            continuation=self._continuation, max_item_count=PAGE_ITEMS, response_hook=hook
        )
