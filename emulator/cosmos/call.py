"""An HTTP request to the service and its reply, in the service's own terms."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from emulator.cosmos.containers import Container
from emulator.cosmos.errors import bad_request
from emulator.cosmos.partition_key import PartitionKey
from emulator.cosmos.values import loads

DEFAULT_PAGE = 100
MAX_PAGE = 1000
CONSISTENCY_LEVELS = frozenset(
    {"Strong", "BoundedStaleness", "Session", "ConsistentPrefix", "Eventual"}
)
ACCOUNT_CONSISTENCY = "Strong"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `path` holds its segments, for example dbs, {db}, colls, {container}, docs."""

    verb: str
    path: tuple[str, ...]
    headers: Any  # a case-insensitive mapping of str to str
    body: bytes

    @classmethod
    async def of(cls, request: web.Request) -> "Call":
        """Raises aiohttp's 413 for a body beyond the application's limit."""
        raw = request.raw_path.partition("?")[0]
        path = tuple(unquote(segment) for segment in raw.split("/") if segment)
        return cls(request.method, path, request.headers, await request.read())

    @property
    def resource_type(self) -> str:
        """The type that is signed: the last one named in the path, in lower case."""
        if self.path[-2:] == ("operations", "partitionkeydelete"):
            return "colls"
        named = self.path[0::2]
        return named[-1].lower() if named else ""

    @property
    def link(self) -> str:
        """The link that is signed: the resource, or for a feed its owner."""
        if self.path[-2:] == ("operations", "partitionkeydelete"):
            return "/".join(self.path[:-2])
        return "/".join(self.path[: len(self.path) // 2 * 2])

    def flag(self, name: str) -> bool:
        return str(self.headers.get(name, "")).lower() == "true"

    def json(self) -> Any:
        """The body. Raises 400."""
        try:
            return loads(self.body)
        except ValueError as error:
            raise bad_request(f"The request payload is invalid: {error}.") from None

    def json_object(self) -> dict[str, Any]:
        """Raises 400."""
        body = self.json()
        if not isinstance(body, dict):
            raise bad_request("The request payload is invalid: it must be a JSON object.")
        return body

    def key(self, container: Container) -> PartitionKey:
        """The item's partition key. Raises 400 where the header is missing or wrong."""
        text = self.headers.get("x-ms-documentdb-partitionkey")
        if text is None:
            raise bad_request("x-ms-documentdb-partitionkey is missing: name the partition key.")
        return container.partition_key.parse_header(text)

    def page_size(self) -> int:
        """`x-ms-max-item-count`; -1 lets the service choose. Raises 400."""
        text = self.headers.get("x-ms-max-item-count", str(DEFAULT_PAGE))
        try:
            count = int(text)
        except ValueError:
            count = 0
        if count == -1:
            return MAX_PAGE
        if count < 1:
            raise bad_request(f"x-ms-max-item-count {text!r} must be a positive number or -1.")
        return min(count, MAX_PAGE)

    @property
    def strong(self) -> bool:
        """Whether reads are charged as strong ones. Raises 400 for an unknown level."""
        level = self.headers.get("x-ms-consistency-level", ACCOUNT_CONSISTENCY)
        if level not in CONSISTENCY_LEVELS:
            raise bad_request(f"x-ms-consistency-level {level!r} is unknown.")
        return level in ("Strong", "BoundedStaleness")

    @property
    def minimal(self) -> bool:
        """Whether a write's reply should come without the item."""
        return "return=minimal" in self.headers.get("prefer", "").lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; `body` is JSON text, empty for none."""

    status: int
    body: str = ""
    charge: float = 1.0
    headers: dict[str, str] = field(default_factory=dict)
