"""Whose a device is, what it is called and where its owner's queue is: cached, and kept right.

No query for each message: what a batch misses is read at once, what is cached is kept right by
change feeds. That a gateway belongs to nobody is never cached, so that a pairing takes effect
with the next message.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from services.ingest import metrics
from services.ingest.logic.events import Event
from services.ingest.logic.ownership import first_owner, pairing_at
from services.ingest.logic.plan import Known, QueueAddress
from services.ingest.logic.state import DeviceState
from services.ingest.store.cache import K, ReadThrough, V
from services.ingest.store.change_feed import ChangeFeed
from services.ingest.store.retry import persistently
from shared.database import ACCOUNTS, DEVICES, GATEWAYS
from shared.schemas.accounts import Account
from shared.schemas.documents import DeviceDocument, Gateway

READ_AT_ONCE = 200


class Directory:
    """Gateways, accounts and devices as the message path needs them."""

    def __init__(
        self, database: DatabaseProxy, *, size: int, feed_seconds: float, stale_seconds: float
    ) -> None:
        accounts, gateways, devices = (
            database.get_container_client(spec.name) for spec in (ACCOUNTS, GATEWAYS, DEVICES)
        )
        self._stale_seconds = stale_seconds

        async def read_gateways(ids: Collection[str]) -> dict[str, Gateway]:
            found = await _read(gateways, [(device_id, device_id) for device_id in ids])
            return {each["id"]: Gateway.model_validate(each) for each in found}

        async def read_queues(ids: Collection[str]) -> dict[str, QueueAddress]:
            found = await _read(accounts, [(user_id, user_id) for user_id in ids])
            return {each["id"]: _queue(each) for each in found}

        async def read_devices(keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Any]:
            found = await _read(devices, [(device_id, user_id) for user_id, device_id in keys])
            states = [_state(each) for each in found]
            return {(state.user_id, state.device_id): state for state in states}

        self._gateways = ReadThrough(size, read_gateways, keep=_owned)
        self._queues = ReadThrough(size, read_queues)
        self._devices: ReadThrough[tuple[str, str], DeviceState] = ReadThrough(
            size, read_devices, merge=_newest
        )
        self._listeners: list[Callable[[Gateway], None]] = []
        self._gateway_feed = ChangeFeed(gateways, self._gateway_changed, feed_seconds)
        self._account_feed = ChangeFeed(
            accounts, lambda each: self._queues.changed(each["id"], _queue(each)), feed_seconds
        )
        self._device_feed = ChangeFeed(
            devices, lambda each: self.remember(_state(each)), feed_seconds
        )

    async def run(self) -> None:
        """Follow the change feeds for ever."""
        async with asyncio.TaskGroup() as tasks:
            for feed in (self._gateway_feed, self._account_feed, self._device_feed):
                tasks.create_task(feed.run())

    async def known(self, events: Iterable[Event]) -> Known:
        """What is known of the events' devices.

        Every change of a pairing that was written before this call is in it: a message that the
        hub took after a gateway changed hands never reaches the former owner. What it took while
        a pairing's start or end was being written may be judged as if that had not happened yet:
        whoever asked for it has not been told that it is done. Names and queues may be as old as
        `stale_seconds`; while a feed is staler, this waits.
        """
        await self._follow()
        moments = [(each.device_id, each.enqueued_at) for each in events if each.device_id]
        gateways = await _get("gateways", self._gateways, {device_id for device_id, _ in moments})
        owned = set()
        for device_id, moment in moments:
            gateway = gateways.get(device_id)
            pairing = pairing_at(gateway, moment) or first_owner(gateway, moment)
            if pairing is not None:
                owned.add((pairing.user_id, device_id))
        return await self._known_of(gateways, owned)

    async def of(self, user_id: str, devices: Iterable[str]) -> Known:
        """What is known of some devices and of an account that has, or had, them."""
        await self._follow()
        owned = {(user_id, device_id) for device_id in devices}
        gateways = await _get("gateways", self._gateways, {device_id for _, device_id in owned})
        return await self._known_of(gateways, owned)

    async def gateways(self, devices: Collection[str]) -> dict[str, Gateway]:
        """Gateways with every pairing that was written before this call."""
        await self._gateway_feed.after(asyncio.get_running_loop().time())
        return await _get("gateways", self._gateways, devices)

    @contextmanager
    def telling(self, listener: Callable[[Gateway], None]) -> Iterator[None]:
        """Tell of each gateway whose document changes, from now on."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def _follow(self) -> None:
        now = asyncio.get_running_loop().time()
        await self._gateway_feed.after(now)
        await self._account_feed.after(now - self._stale_seconds)
        await self._device_feed.after(now - self._stale_seconds)

    async def _known_of(
        self, gateways: Mapping[str, Gateway], owned: Collection[tuple[str, str]]
    ) -> Known:
        queues = await _get("accounts", self._queues, {user_id for user_id, _ in owned})
        devices = await _get("devices", self._devices, owned)
        return Known(gateways, queues, devices)

    def _gateway_changed(self, document: Mapping[str, Any]) -> None:
        gateway = Gateway.model_validate(document)
        self._gateways.changed(gateway.id, gateway)
        for listener in self._listeners:
            listener(gateway)

    def remember(self, state: DeviceState) -> None:
        """A device's state as it was just written or read from the feed."""
        self._devices.changed((state.user_id, state.device_id), state)

    def forget(self, user_id: str, device_id: str) -> None:
        """Read a device again before its next use."""
        self._devices.drop((user_id, device_id))


async def _get(name: str, cache: ReadThrough[K, V], keys: Collection[K]) -> dict[K, V]:
    hits, misses = cache.hits, cache.misses
    found = await cache.get(keys)
    metrics.CACHE.labels(name, "hit").inc(cache.hits - hits)
    metrics.CACHE.labels(name, "miss").inc(cache.misses - misses)
    return found


async def _read(container: ContainerProxy, keys: list[tuple[str, str]]) -> list[Mapping[str, Any]]:
    """Documents by id and partition key, in as few requests as there can be."""
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(keys), READ_AT_ONCE):
        some = keys[start : start + READ_AT_ONCE]
        found += await persistently(
            f"read {container.id}",
            lambda some=some: container.read_items(some),  # type: ignore[misc]
        )
    return found


def _owned(gateway: Gateway) -> bool:
    return bool(gateway.pairings) and gateway.pairings[-1].ended_at is None


def _queue(document: Mapping[str, Any]) -> QueueAddress:
    account = Account.model_validate(document)
    return QueueAddress(account.servicebus_namespace, account.queue)


def _state(document: Mapping[str, Any]) -> DeviceState:
    return DeviceState.of(DeviceDocument.model_validate(document))


def _newest(known: DeviceState, changed: DeviceState) -> DeviceState:
    """The feed may bring a version from before our own last write: its state is the older one."""
    if known.stream == changed.stream and changed.position < known.position:
        return replace(known, name=changed.name)
    return changed
