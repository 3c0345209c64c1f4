"""Partition keys: where they stand in a document, and where the service places them.

A key is placed by its effective partition key (EPK): MurmurHash3 (x64, 128 bits) of its
components, as the SDKs compute it for feed ranges (azure-cosmos, partition_key.py).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emulator.cosmos.errors import bad_request, not_emulated
from emulator.cosmos.values import UNDEFINED, Rank, Undefined, equal, loads, rank

Component = str | int | float | bool | None | Undefined
Path = tuple[str, ...]

MAX_STRING_BYTES = 2048
MAX_LEVELS = 3
MASK = 0xFFFFFFFFFFFFFFFF
C1 = 0x87C37B91114253D5
C2 = 0x4CF5AD432745937F


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """A value of a partition key, complete or (hierarchical keys only) its first levels."""

    components: tuple[Component, ...]
    epk: bytes


@dataclass(frozen=True, slots=True)
class Definition:
    """A container's `partitionKey`: one path, or up to three where it is hierarchical."""

    paths: tuple[Path, ...]
    hierarchical: bool

    @classmethod
    def parse(cls, body: object) -> "Definition":
        """Raises CosmosError: 400 for what Azure refuses, 501 for version 1 hashing."""
        if not isinstance(body, Mapping):
            raise bad_request("partitionKey must be an object with paths, kind and version.")
        paths, kind = body.get("paths"), body.get("kind", "Hash")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise bad_request("partitionKey.paths must be a list of paths.")
        hierarchical = kind == "MultiHash"
        if kind not in ("Hash", "MultiHash"):
            raise bad_request(f"partitionKey.kind {kind!r} is unknown; use Hash or MultiHash.")
        if not 1 <= len(paths) <= (MAX_LEVELS if hierarchical else 1):
            raise bad_request("A partition key has one path, a hierarchical one up to three.")
        if body.get("version", 1) != 2:
            raise not_emulated("A partition key of a version other than 2 (set version to 2)")
        return cls(tuple(map(parse_path, paths)), hierarchical)

    def of(self, document: Mapping[str, Any]) -> tuple[Component, ...]:
        """The components that stand in a document; what is no scalar counts as undefined."""
        return tuple(_scalar(document, path) for path in self.paths)

    def parse_header(self, text: str, *, prefix: bool = False) -> PartitionKey:
        """Read `x-ms-documentdb-partitionkey`; `prefix` admits fewer levels. Raises 400."""
        key = _parse_header(text, self.hierarchical)
        if len(key.components) > len(self.paths):
            raise bad_request("The partition key has more components than the container's.")
        if len(key.components) < (1 if prefix and self.hierarchical else len(self.paths)):
            raise bad_request(
                "The partition key supplied in x-ms-partitionkey header has fewer components "
                "than defined in the the collection."
            )
        return key

    def key(self, components: tuple[Component, ...]) -> PartitionKey:
        """The key of the given components, placed."""
        return PartitionKey(components, effective_partition_key(components, self.hierarchical))

    def matches(self, document: Mapping[str, Any], key: PartitionKey) -> bool:
        """Whether the document belongs where the request says it does."""
        return all(map(equal, self.of(document), key.components))


def parse_path(path: str) -> Path:
    """`/a/"b c"` as its property names. Raises 400."""
    if not path.startswith("/") or path == "/" or path.endswith("/"):
        raise bad_request(f"The path {path!r} must look like /property or /outer/inner.")
    names = tuple(
        name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name
        for name in path[1:].split("/")
    )
    if not all(names) or "*" in names or "[]" in names:
        raise bad_request(f"The path {path!r} must name one property in each segment.")
    return names


def effective_partition_key(components: tuple[Component, ...], hierarchical: bool) -> bytes:
    """16 bytes, or 16 for each level where the key is hierarchical."""
    encoded = [_encode(component) for component in components]
    if hierarchical:
        return b"".join(map(_place, encoded))
    return _place(b"".join(encoded))


@lru_cache(maxsize=65536)
def _parse_header(text: str, hierarchical: bool) -> PartitionKey:
    try:
        parts = loads(text)
    except ValueError:
        parts = None
    if not isinstance(parts, list):
        raise bad_request("x-ms-documentdb-partitionkey must be a JSON array.")
    components = tuple(_component(part) for part in parts)
    return PartitionKey(components, effective_partition_key(components, hierarchical))


def _component(part: object) -> Component:
    if part == {} and isinstance(part, dict):
        return UNDEFINED
    if isinstance(part, str) and len(part.encode()) > MAX_STRING_BYTES:
        raise bad_request("Partition key exceeded maximum limit of 2KB.")
    if part is None or isinstance(part, str | int | float | bool):
        return part
    raise bad_request("A partition key component is a string, a number, a boolean or null.")


def _scalar(document: Mapping[str, Any], path: Path) -> Component:
    value: Any = document
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return UNDEFINED
        value = value[name]
    return value if rank(value) <= Rank.STRING else UNDEFINED


def _encode(component: Component) -> bytes:
    if component is UNDEFINED:
        return b"\x00"
    if component is None:
        return b"\x01"
    if component is False:
        return b"\x02"
    if component is True:
        return b"\x03"
    if isinstance(component, str):
        return b"\x08" + component.encode() + b"\xff"
    try:
        return b"\x05" + struct.pack("<d", component)
    except OverflowError:
        raise bad_request("A number in a partition key must fit a double.") from None


def _place(data: bytes) -> bytes:
    low, high = murmur3_128(data)
    # The two highest bits are kept clear, so that every EPK sorts below the maximum, FF.
    return ((high << 64 | low) & ((1 << 126) - 1)).to_bytes(16, "big")


def murmur3_128(data: bytes) -> tuple[int, int]:
    """MurmurHash3_x64_128 with seed 0 (public domain, Austin Appleby), as two 64-bit words."""
    h1 = h2 = 0
    body = len(data) & ~15
    for k1, k2 in struct.iter_unpack("<QQ", data[:body]):
        h1 ^= _rotate(k1 * C1 & MASK, 31) * C2 & MASK
        h1 = ((_rotate(h1, 27) + h2) * 5 + 0x52DCE729) & MASK
        h2 ^= _rotate(k2 * C2 & MASK, 33) * C1 & MASK
        h2 = ((_rotate(h2, 31) + h1) * 5 + 0x38495AB5) & MASK
    tail = data[body:]
    h2 ^= _rotate(int.from_bytes(tail[8:], "little") * C2 & MASK, 33) * C1 & MASK
    h1 ^= _rotate(int.from_bytes(tail[:8], "little") * C1 & MASK, 31) * C2 & MASK
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & MASK
    h2 = (h2 + h1) & MASK
    h1, h2 = _mix(h1), _mix(h2)
    h1 = (h1 + h2) & MASK
    return h1, (h2 + h1) & MASK


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & MASK


def _mix(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33
