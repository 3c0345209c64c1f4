"""The containers of the Cosmos DB database, and making them.

In the cloud Bicep makes the same containers; locally and in tests `provision` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient, DatabaseProxy

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class ContainerSpec:
    """A container: its name, partition key and time to live of its items in seconds."""

    name: str
    partition_key: str
    ttl: int | None = None  # None: items stay for ever; -1: only items that say so expire
    # Properties that lists are ordered by together. The partition key stands first, so that a
    # page of one account costs the same however many others there are.
    orders: tuple[tuple[str, ...], ...] = ()


DEVICE_ORDERS = ("name", "status", "type", "app_name", "app_version", "fwversion", "paired_at")

ACCOUNTS = ContainerSpec("accounts", "/user_id")
GROUPS = ContainerSpec("groups", "/user_id")
GATEWAYS = ContainerSpec("gateways", "/device_id")
DEVICES = ContainerSpec(
    "devices",
    "/user_id",
    orders=tuple(("user_id", name, "id") for name in DEVICE_ORDERS),
)
STREAM = ContainerSpec("stream", "/partition")
NOTIFICATIONS = ContainerSpec(
    "notifications",
    "/user_id",
    ttl=90 * DAY_SECONDS,
    orders=(
        ("user_id", "enqueued_at", "id"),
        ("user_id", "device_id", "enqueued_at", "id"),
        ("user_id", "level", "enqueued_at", "id"),
        ("user_id", "state", "enqueued_at", "id"),
        ("user_id", "state", "level", "enqueued_at", "id"),
    ),
)
TIMELINE = ContainerSpec(
    "timeline",
    "/device_id",
    ttl=90 * DAY_SECONDS,
    orders=(("device_id", "enqueued_at", "id"),),
)
PARKED = ContainerSpec("parked", "/holder", ttl=7 * DAY_SECONDS)
APPS = ContainerSpec("apps", "/user_id")
FIRMWARE = ContainerSpec("firmware", "/type")
PEOPLE = ContainerSpec("people", "/id")
SESSIONS = ContainerSpec("sessions", "/user_id", ttl=-1)
ATTEMPTS = ContainerSpec("attempts", "/id", ttl=-1)
USAGE = ContainerSpec("usage", "/user_id")
AUDIT = ContainerSpec("audit", "/user_id", ttl=365 * DAY_SECONDS)
IDEMPOTENCY = ContainerSpec("idempotency", "/user_id", ttl=DAY_SECONDS)
USER_MESSAGES = ContainerSpec(
    "user_messages",
    "/device_id",
    ttl=-1,
    orders=(("device_id", "state", "number"), ("device_id", "user_id", "number")),
)
NAMESPACES = ContainerSpec("namespaces", "/id")
JOBS = ContainerSpec(
    "jobs",
    "/user_id",
    ttl=-1,
    orders=(
        ("user_id", "doc", "created_at", "id"),
        ("user_id", "device_id", "created_at", "id"),
        ("user_id", "state", "created_at", "id"),
        ("user_id", "open", "created_at", "id"),
    ),
)
UPLOADS = ContainerSpec("uploads", "/id")  # binaries that are on their way into Blob Storage

CONTAINERS = (
    ACCOUNTS,
    GROUPS,
    GATEWAYS,
    DEVICES,
    STREAM,
    NOTIFICATIONS,
    TIMELINE,
    PARKED,
    APPS,
    FIRMWARE,
    PEOPLE,
    SESSIONS,
    ATTEMPTS,
    USAGE,
    AUDIT,
    IDEMPOTENCY,
    USER_MESSAGES,
    NAMESPACES,
    JOBS,
    UPLOADS,
)


async def provision(
    cosmos: CosmosClient, database: str, ttls: Mapping[str, int] = MappingProxyType({})
) -> DatabaseProxy:
    """Create the database and the containers that are missing.

    `ttls`: by a container's name, the time to live of its items in seconds, where it is not the
    one above. A container that exists gets the time to live and the indexes that are wanted now.
    """
    proxy = await cosmos.create_database_if_not_exists(database)
    for spec in CONTAINERS:
        await _provision(proxy, spec, ttls.get(spec.name, spec.ttl))
    return proxy


async def _provision(database: DatabaseProxy, spec: ContainerSpec, ttl: int | None) -> None:
    key = PartitionKey(path=spec.partition_key)
    container = await database.create_container_if_not_exists(
        id=spec.name, partition_key=key, indexing_policy=_indexing(spec), default_ttl=ttl
    )
    there = await container.read()
    indexed = _composites(there["indexingPolicy"])
    if there.get("defaultTtl") != ttl or indexed != _composites(_indexing(spec)):
        await database.replace_container(
            container, key, indexing_policy=_indexing(spec), default_ttl=ttl
        )


def _indexing(spec: ContainerSpec) -> dict[str, Any]:
    """Every property, as Cosmos DB does by itself, and what lists are ordered by."""
    return {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": '/"_etag"/?'}],
        "compositeIndexes": [
            [{"path": f"/{name}", "order": "ascending"} for name in order] for order in spec.orders
        ],
    }


def _composites(indexing: Mapping[str, Any]) -> set[tuple[tuple[str, str], ...]]:
    return {
        tuple((part["path"], part.get("order", "ascending")) for part in index)
        for index in indexing.get("compositeIndexes", [])
    }
