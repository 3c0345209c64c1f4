"""IoT Hub for asyncio: the synchronous SDK in a few threads of its own.

uamqp is not safe for use from two threads at once, so each thread owns one client. A client
whose AMQP connection broke is dropped and built anew.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from urllib3.util.retry import Retry

from shared.clients import AzureClients
from shared.errors import Conflict, Unavailable
from shared.iothub_messages import FeedbackBatch, outgoing, receive_feedback, send
from shared.iothub_refusals import NO_ANSWER, refusal

log = logging.getLogger(__name__)

THREADS = 4
# Direct methods have threads of their own: a gateway may take seconds to answer one, and nobody
# else is to wait for it.
METHOD_THREADS = 16
MAX_PENDING = 100  # calls of each kind that wait or run; more are refused
CALL_SECONDS = 20.0  # the wait for a thread included
SEND_SECONDS = 6.0
METHOD_SECONDS = 10  # how long a gateway may take to answer a direct method
HTTP_SECONDS = 15.0

T = TypeVar("T")


@dataclass(frozen=True)
class DeviceTwin:
    """What the hub knows of a device. `status` is `Connected` or `Disconnected`.

    `etag` changes with what services write: desired properties and tags. `heard_at`: when it last
    connected, sent or took something, on Azure some minutes late; None for never.
    """

    etag: str
    status: str
    reported: Mapping[str, Any]
    desired: Mapping[str, Any]
    tags: Mapping[str, Any]
    heard_at: datetime | None = None


@dataclass(frozen=True)
class DeviceKeys:
    """The two symmetric keys of a device's identity, base64."""

    primary: str
    secondary: str


class IotHub:
    """Calls to one IoT Hub. Every call raises `Unavailable` where the hub does not answer."""

    def __init__(self, azure: AzureClients) -> None:
        self._azure = azure
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="iothub")
        self._methods = ThreadPoolExecutor(METHOD_THREADS, thread_name_prefix="iothub-method")
        self._local = threading.local()
        self._clients: set[IoTHubRegistryManager] = set()
        self._pending: Counter[ThreadPoolExecutor] = Counter()

    async def send_message(
        self,
        device_id: str,
        body: bytes | str,
        message_id: str,
        expiry: datetime | None = None,
        *,
        within: float = SEND_SECONDS,
        feedback: bool = False,
    ) -> None:
        """Queue a user message, JSON, for a device.

        The hub keeps it until `expiry`: two days at most, one hour where none is given. It is
        handed over in `within` seconds or not at all, as far as this side can tell, and what
        becomes of it is told (`receive_feedback`) where `feedback` is asked for.
        It may be sent twice under the same message id; gateways drop an id they have seen.
        Raises NotFound for a device without identity and TooMany where 50 wait for it already
        (azure-wire-facts.md, "IoT Hub, device side").
        """
        deadline = time.monotonic() + within
        await self._run(
            lambda hub: send(
                hub, outgoing(device_id, body, message_id, expiry, feedback=feedback), deadline
            ),
            attempts=2,
        )

    async def receive_feedback(self) -> FeedbackBatch | None:
        """What became of messages, up to 64 records; None where there is nothing to tell.

        They are this caller's for a minute, and come again unless `complete_feedback` was called
        by then. The hub keeps them for an hour.
        """
        batch: FeedbackBatch | None = await self._run(receive_feedback)
        return batch

    async def complete_feedback(self, batch: FeedbackBatch) -> None:
        """Have the hub forget a batch. Raises Conflict where its minute is over."""
        await self._run(
            lambda hub: hub.protocol.cloud_to_device_messages.complete_feedback_notification(
                batch.lock_token
            )
        )

    async def purge_messages(self, device_id: str) -> None:
        """Drop the user messages that wait for a device. Raises NotFound."""
        await self._run(
            lambda hub: hub.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue(
                device_id
            )
        )

    async def invoke_method(self, device_id: str, name: str, payload: object) -> object:
        """The gateway's answer to a direct method. Raises DeviceOffline, NotFound, Conflict."""
        method = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=METHOD_SECONDS,
            connect_timeout_in_seconds=0,
        )
        result = await self._run(
            lambda hub: hub.invoke_device_method(device_id, method), pool=self._methods
        )
        if result.status >= 400:
            raise Conflict(f"The gateway refused {name} with status {result.status}.")
        answer: object = result.payload
        return answer

    async def get_twin(self, device_id: str) -> DeviceTwin:
        """Raises NotFound for a device without identity."""
        twin = await self._run(lambda hub: hub.get_twin(device_id))
        return DeviceTwin(
            etag=str(twin.etag),
            status=str(twin.connection_state),
            reported=twin.properties.reported or {},
            desired=twin.properties.desired or {},
            tags=twin.tags or {},
            heard_at=_heard_at(twin.last_activity_time),
        )

    async def patch_twin(
        self,
        device_id: str,
        *,
        desired: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        etag: str = "*",
    ) -> None:
        """Merge desired properties and tags; None as a value removes it.

        Raises NotFound, and TwinChanged where the twin's ETag is another one.
        """
        properties = TwinProperties(desired=dict(desired)) if desired is not None else None
        patch = Twin(tags=dict(tags) if tags is not None else None, properties=properties)
        await self._run(lambda hub: hub.update_twin(device_id, patch, etag))

    async def create_device(self, device_id: str, keys: DeviceKeys) -> None:
        """Register an identity. Raises Conflict where it exists."""
        await self._run(
            lambda hub: hub.create_device_with_sas(
                device_id, keys.primary, keys.secondary, "enabled"
            )
        )

    async def device_keys(self, device_id: str) -> DeviceKeys:
        """Raises NotFound for a device without identity."""
        identity = await self._run(lambda hub: hub.get_device(device_id))
        key = identity.authentication.symmetric_key
        return DeviceKeys(key.primary_key, key.secondary_key)

    async def delete_device(self, device_id: str) -> None:
        """Remove an identity. Raises NotFound where there is none."""
        await self._run(lambda hub: hub.delete_device(device_id))

    async def ping(self) -> None:
        """Return when the hub answers."""
        await self._run(lambda hub: hub.get_service_statistics())

    def device_connection_string(self, device_id: str, keys: DeviceKeys) -> str:
        """What a gateway connects with."""
        host = _host(self._azure.settings.iothub.get_secret_value())
        return f"HostName={host};DeviceId={device_id};SharedAccessKey={keys.primary}"

    async def close(self) -> None:
        """Wait for the calls that run and close the connections."""
        for pool in (self._pool, self._methods):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        await asyncio.gather(*(asyncio.to_thread(_close, hub) for hub in self._clients))

    async def _run(
        self,
        call: Callable[[IoTHubRegistryManager], Any],
        *,
        attempts: int = 1,
        pool: ThreadPoolExecutor | None = None,
    ) -> Any:
        pool = pool or self._pool
        if self._pending[pool] >= MAX_PENDING:
            raise Unavailable("IoT Hub is busy; try again in a few seconds.")
        self._pending[pool] += 1
        try:
            work = asyncio.get_running_loop().run_in_executor(
                pool, copy_context().run, self._attempt, call, attempts
            )
            async with asyncio.timeout(CALL_SECONDS):
                return await work
        except TimeoutError:
            raise Unavailable(NO_ANSWER) from None
        finally:
            self._pending[pool] -= 1

    def _attempt(self, call: Callable[[IoTHubRegistryManager], T], attempts: int) -> T:
        """Runs in a thread of the pool."""
        for attempt in range(1, attempts + 1):
            try:
                return call(self._client())
            except Unavailable:
                raise
            except Exception as error:
                known = refusal(error)
                if known is not None:
                    raise known from error
                log.warning(
                    "a call to IoT Hub failed",
                    extra={"error": type(error).__name__, "attempt": attempt},
                )
                self._drop()
        raise Unavailable(NO_ANSWER)

    def _client(self) -> IoTHubRegistryManager:
        hub = getattr(self._local, "hub", None)
        if hub is None:
            hub = self._azure.iot_hub()
            hub.protocol.config.connection.timeout = HTTP_SECONDS
            _repeat_nothing(hub.protocol.config.retry_policy.policy)
            self._local.hub = hub
            self._clients.add(hub)
        return hub

    def _drop(self) -> None:
        hub = getattr(self._local, "hub", None)
        if hub is not None:
            self._local.hub = None
            self._clients.discard(hub)
            _close(hub)


@asynccontextmanager
async def open_iot_hub(azure: AzureClients) -> AsyncIterator[IotHub]:
    """IoT Hub for the life of a service."""
    hub = IotHub(azure)
    try:
        yield hub
    finally:
        await hub.close()


def _repeat_nothing(policy: Retry) -> None:
    """The SDK repeats every call on each 5xx, orders to gateways too.

    Its HTTP session holds this very object already, so it is changed, not replaced.
    """
    policy.total = policy.connect = policy.read = 0
    policy.status_forcelist = ()


def _close(hub: IoTHubRegistryManager) -> None:
    # What broke may break again on closing; the object is dropped either way.
    with contextlib.suppress(Exception):
        hub.amqp_svc_client.disconnect_sync()


def _heard_at(last_activity: datetime | None) -> datetime | None:
    """The hub says the year 1 of a device that never was there."""
    return last_activity if last_activity is not None and last_activity.year > 1 else None


def _host(iothub: str) -> str:
    """The host name of a connection string or of a bare name, without a port."""
    parts = dict(part.partition("=")[::2] for part in iothub.split(";"))
    return parts.get("HostName", iothub).partition(":")[0]
