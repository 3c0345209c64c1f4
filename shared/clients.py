"""The one place that opens and closes Azure's clients.

The only seam between one machine and the cloud: what is a connection string in the settings is
opened with its key, what is a bare name with the service's managed identity; a local stack may
add ports and a certificate authority.

An SDK is imported where its client is built: together they cost half a second of CPU and 30 MB,
and no process needs them all.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import certifi

from shared.settings import AzureSettings

if TYPE_CHECKING:
    from azure.cosmos.aio import CosmosClient, DatabaseProxy
    from azure.eventhub.aio import CheckpointStore, EventHubConsumerClient
    from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
    from azure.identity.aio import DefaultAzureCredential
    from azure.iot.hub import IoTHubRegistryManager
    from azure.servicebus.aio import ServiceBusClient
    from azure.servicebus.aio.management import ServiceBusAdministrationClient
    from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

# A killed consumer's partitions are taken over after the ownership expires (design.md, "Where
# it is kept"); the SDK's own default of 180 s would idle them for three minutes.
LOAD_BALANCING_SECONDS = 2.0
OWNERSHIP_EXPIRES_SECONDS = 10.0


@dataclass(frozen=True)
class AzureClients:
    """Clients by need: each is opened at its first use and closed with all others."""

    settings: AzureSettings
    _stack: AsyncExitStack
    _opened: dict[str, object] = field(default_factory=dict)

    @cached_property
    def _credential(self) -> DefaultAzureCredential:
        from azure.identity.aio import DefaultAzureCredential

        credential = DefaultAzureCredential()
        self._stack.push_async_callback(credential.close)
        return credential

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        # Building a context costs 14 ms and nearly all of a sender's memory
        # (azure-wire-facts.md, "What the SDKs cost"), so all senders share one.
        return ssl.create_default_context(cafile=self._ca_file)

    @property
    def _ca_file(self) -> str:
        return str(self.settings.ca_file or certifi.where())

    @cached_property
    def cosmos(self) -> CosmosClient:
        """The Cosmos DB account, Strong consistency."""
        from azure.cosmos.aio import CosmosClient

        key = self.settings.cosmos_key
        client = CosmosClient(
            self.settings.cosmos_endpoint,
            credential=key.get_secret_value() if key else self._credential,
            consistency_level="Strong",
        )
        self._stack.push_async_callback(client.close)
        return client

    @property
    def database(self) -> DatabaseProxy:
        """The database that holds MyMote's containers."""
        return self.cosmos.get_database_client(self.settings.cosmos_database)

    def service_bus(self, namespace: str) -> ServiceBusClient:
        """The client of one namespace. Raises KeyError for a name not in the settings.

        It tries everything once only.
        """
        from azure.servicebus.aio import ServiceBusClient

        opened = self._opened.get(namespace)
        if isinstance(opened, ServiceBusClient):
            return opened
        value = self.settings.servicebus_namespaces[namespace].get_secret_value()
        # Its user tries again: the SDK's own attempts hide for 15 s that a queue is disabled.
        options: dict[str, Any] = {"ssl_context": self._ssl_context, "retry_total": 0}
        client = (
            ServiceBusClient.from_connection_string(value, **options)
            if _is_connection_string(value)
            else ServiceBusClient(value, self._credential, **options)
        )
        self._opened[namespace] = client
        self._stack.push_async_callback(client.close)
        return client

    def service_bus_administration(self, namespace: str) -> ServiceBusAdministrationClient:
        """Administration of one namespace. Raises KeyError for a name not in the settings."""
        from azure.servicebus.aio.management import ServiceBusAdministrationClient

        name = f"administration of {namespace}"
        opened = self._opened.get(name)
        if isinstance(opened, ServiceBusAdministrationClient):
            return opened
        value = self.settings.servicebus_namespaces[namespace].get_secret_value()
        port = self.settings.servicebus_administration_port
        client = (
            ServiceBusAdministrationClient.from_connection_string(
                _with_port(value, port) if port else value, connection_verify=self._ca_file
            )
            if _is_connection_string(value)
            else ServiceBusAdministrationClient(value, self._credential)
        )
        self._opened[name] = client
        self._stack.push_async_callback(client.close)
        return client

    def event_consumer(
        self, checkpoints: CheckpointStore, group: str = ""
    ) -> EventHubConsumerClient:
        """A consumer that shares the stream's partitions with the others of its group.

        `group`: another one than that of the settings.
        """
        from azure.eventhub.aio import EventHubConsumerClient

        value = self.settings.eventhub.get_secret_value()
        group = group or self.settings.eventhub_consumer_group
        if _is_connection_string(value):
            client = EventHubConsumerClient.from_connection_string(
                value,
                group,
                checkpoint_store=checkpoints,
                load_balancing_interval=LOAD_BALANCING_SECONDS,
                partition_ownership_expiration_interval=OWNERSHIP_EXPIRES_SECONDS,
            )
        else:
            host, _, event_hub = value.partition("/")
            client = EventHubConsumerClient(
                host,
                event_hub,
                group,
                self._credential,
                checkpoint_store=checkpoints,
                load_balancing_interval=LOAD_BALANCING_SECONDS,
                partition_ownership_expiration_interval=OWNERSHIP_EXPIRES_SECONDS,
            )
        self._stack.push_async_callback(client.close)
        return client

    async def make_checkpoints(self) -> None:
        """Make the container of `checkpoint_store` if it is missing."""
        container = self.blob.get_container_client(self.settings.blob_checkpoints)
        if not await container.exists():
            await container.create_container()

    def checkpoint_store(self) -> BlobCheckpointStore:
        """The store in which partitions are shared out; its container has to be there."""
        from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

        value = self.settings.blob.get_secret_value()
        name = self.settings.blob_checkpoints
        retries = _blob_retries(1)  # sooner than a partition is lost
        store = (
            BlobCheckpointStore.from_connection_string(value, name, retry_policy=retries)
            if _is_connection_string(value)
            else BlobCheckpointStore(value, name, credential=self._credential, retry_policy=retries)
        )
        self._stack.push_async_callback(store.close)
        return store

    @cached_property
    def blob(self) -> BlobServiceClient:
        """The Blob Storage account."""
        from azure.storage.blob.aio import BlobServiceClient

        value = self.settings.blob.get_secret_value()
        client = (
            BlobServiceClient.from_connection_string(value, retry_policy=_blob_retries(2))
            if _is_connection_string(value)
            else BlobServiceClient(
                value, credential=self._credential, retry_policy=_blob_retries(2)
            )
        )
        self._stack.push_async_callback(client.close)
        return client

    def iot_hub(self) -> IoTHubRegistryManager:
        """A new synchronous client of the hub, for `shared.iothub`, which closes it.

        It holds one AMQP connection and is not safe for use from two threads at once.
        """
        import uamqp
        from azure.iot.hub import IoTHubRegistryManager

        value = self.settings.iothub.get_secret_value()
        if not _is_connection_string(value):
            from azure.identity import DefaultAzureCredential

            return IoTHubRegistryManager.from_token_credential(value, DefaultAzureCredential())
        hub = IoTHubRegistryManager.from_connection_string(value)
        hub.protocol.config.connection.verify = self._ca_file
        # The SDK offers no setting for port or certificate authority of its AMQP side.
        auth = hub.amqp_svc_client.amqp_client._auth
        auth.cert_file = self._ca_file
        auth.set_io(auth.hostname, self.settings.iothub_amqp_port, None, uamqp.TransportType.Amqp)
        return hub


@asynccontextmanager
async def open_azure(settings: AzureSettings) -> AsyncIterator[AzureClients]:
    """Azure's clients for the life of a service."""
    async with AsyncExitStack() as stack:
        yield AzureClients(settings, stack)


def _blob_retries(times: int) -> ExponentialRetry:
    """By default a failed call is repeated after 15 s."""
    from azure.storage.blob.aio import ExponentialRetry

    return ExponentialRetry(initial_backoff=1, increment_base=1, retry_total=times)


def _is_connection_string(value: str) -> bool:
    return "=" in value


def _with_port(connection_string: str, port: int) -> str:
    """The same connection string with another port in its Endpoint."""
    parts = dict(part.partition("=")[::2] for part in connection_string.split(";") if part)
    host = parts["Endpoint"].removeprefix("sb://").strip("/").partition(":")[0]
    parts["Endpoint"] = f"sb://{host}:{port}"
    return ";".join(f"{name}={value}" for name, value in parts.items())
