"""What a container is: its definition, as checked when it is created or replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.cosmos.errors import bad_request, not_emulated
from emulator.cosmos.partition_key import Definition, Path, parse_path
from emulator.cosmos.resource_ids import container_rid, database_rid
from emulator.cosmos.values import Document

MAX_ID_LENGTH = 255
MAX_TTL = 2**31 - 1
MAX_UNIQUE_KEYS = 10
MAX_UNIQUE_KEY_PATHS = 16
DEFAULT_INDEXING: Document = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}
KEPT = ("id", "partitionKey", "defaultTtl", "uniqueKeyPolicy", "indexingPolicy")
NOT_EMULATED = (
    "analyticalStorageTtl",
    "changeFeedPolicy",
    "computedProperties",
    "fullTextPolicy",
    "vectorEmbeddingPolicy",
)


@dataclass(eq=False)
class Database:
    """A database and the containers in it, by id."""

    number: int
    id: str
    ts: int
    containers: dict[str, "Container"] = field(default_factory=dict)

    @property
    def rid(self) -> str:
        return database_rid(self.number)


@dataclass(eq=False)
class Container:
    """A container with the counters that its writes advance.

    `lsn` is the logical sequence number of the last transaction, `last_item` the highest
    item number given out, `ts` the time of the last write: none of them ever goes back.
    """

    number: int
    database: Database
    definition: Document
    ts: int  # Unix seconds
    lsn: int = 0
    last_item: int = 0

    def __post_init__(self) -> None:
        self.rid = container_rid(self.database.number, self.number)
        self.created_ts = self.ts
        self.table = f"cosmos_items_{self.number}"
        self.unique_table = f"cosmos_unique_{self.number}"
        self.indexed_paths: set[str] = set()
        self.define(self.definition)

    def define(self, definition: Document) -> None:
        """Take over a (checked) definition."""
        self.definition = definition
        self.id: str = definition["id"]
        self.partition_key = Definition.parse(definition["partitionKey"])
        self.default_ttl: int | None = definition.get("defaultTtl")
        self.unique_keys = _unique_keys(definition)
        self.composite_indexes = _composite_indexes(definition["indexingPolicy"])

    @property
    def link(self) -> str:
        """The link by rid that every `_self` in the container starts with."""
        return f"dbs/{self.database.rid}/colls/{self.rid}/"


def check_id(value: object) -> str:
    """An id as Azure allows it: up to 255 characters, none of / \\ ? #. Raises 400."""
    if not isinstance(value, str) or not value:
        raise bad_request("The input content is invalid because the required property 'id' is "
                          "missing, empty or not a string.")  # fmt: skip
    if len(value) > MAX_ID_LENGTH:
        raise bad_request(f"The id is longer than {MAX_ID_LENGTH} characters.")
    if value.endswith(" ") or any(mark in value for mark in "/\\?#\t\r\n"):
        raise bad_request(f"The id {value!r} must not contain / \\ ? # nor end in a space.")
    return value


def check_definition(body: Mapping[str, Any]) -> Document:
    """The definition to keep. Raises CosmosError: 400 as Azure, 501 for what is missing."""
    check_id(body.get("id"))
    for name in NOT_EMULATED:
        if body.get(name):
            raise not_emulated(f"A container's {name}")
    mode = (body.get("conflictResolutionPolicy") or {}).get("mode", "LastWriterWins")
    if str(mode).lower() not in ("lastwriterwins", "0"):
        raise not_emulated(f"Conflict resolution {mode!r}")
    definition: Document = {name: body[name] for name in KEPT if body.get(name) is not None}
    Definition.parse(definition.get("partitionKey"))
    if "defaultTtl" in definition:
        check_ttl(definition["defaultTtl"])
    indexing = definition.setdefault("indexingPolicy", DEFAULT_INDEXING)
    if not isinstance(indexing, Mapping):
        raise bad_request("indexingPolicy must be an object.")
    if str(indexing.get("indexingMode", "consistent")).lower() != "consistent":
        raise not_emulated("An indexing mode other than consistent")
    _unique_keys(definition)
    _composite_indexes(indexing)
    return definition


def check_ttl(value: object) -> int:
    """Seconds to live, or -1 for ever. Raises 400."""
    valid = isinstance(value, int) and not isinstance(value, bool) and value <= MAX_TTL
    if not valid or not isinstance(value, int) or (value < 1 and value != -1):
        raise bad_request(
            f"The input ttl {value!r} is invalid. Ensure to provide a nonzero positive integer "
            "or -1 (for ever)."
        )
    return value


def _unique_keys(definition: Mapping[str, Any]) -> tuple[tuple[Path, ...], ...]:
    try:
        keys = definition.get("uniqueKeyPolicy", {}).get("uniqueKeys", [])
        unique = tuple(tuple(parse_path(path) for path in key["paths"]) for key in keys)
    except (AttributeError, KeyError, TypeError):
        raise bad_request('uniqueKeyPolicy must be {"uniqueKeys": [{"paths": [...]}]}.') from None
    if len(unique) > MAX_UNIQUE_KEYS or any(len(key) > MAX_UNIQUE_KEY_PATHS for key in unique):
        raise bad_request(
            f"A container has at most {MAX_UNIQUE_KEYS} unique keys of "
            f"{MAX_UNIQUE_KEY_PATHS} paths each."
        )
    return unique


def _composite_indexes(indexing: Mapping[str, Any]) -> tuple[tuple[tuple[Path, bool], ...], ...]:
    """Each index as (path, descending) pairs."""
    try:
        return tuple(
            tuple((parse_path(part["path"]), part.get("order") == "descending") for part in index)
            for index in indexing.get("compositeIndexes", [])
        )
    except (AttributeError, KeyError, TypeError):
        raise bad_request("indexingPolicy.compositeIndexes cannot be read.") from None
