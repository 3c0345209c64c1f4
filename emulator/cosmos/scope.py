"""Which part of a container a feed or a query covers: a partition, a range of EPKs, or all."""

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.cosmos.containers import Container
from emulator.cosmos.errors import CosmosError, Substatus, bad_request

RANGE_ID = "0"  # the emulator keeps every container in one physical partition
EPK_BYTES = 16
MAXIMUM = b"\xff"


@dataclass(frozen=True, slots=True)
class Scope:
    """`low <= epk < high`; one logical partition where `exact` is set."""

    low: bytes = b""
    high: bytes = MAXIMUM
    exact: bytes | None = None

    @property
    def everything(self) -> bool:
        return self.exact is None and self.low == b"" and self.high >= MAXIMUM

    def clause(self) -> tuple[str, tuple[bytes, ...]]:
        """The SQL condition on `epk` and its parameters."""
        if self.exact is not None:
            return "epk = ?", (self.exact,)
        if self.everything:
            return "1", ()
        return "epk >= ? AND epk < ?", (self.low, self.high)


def scope_of(headers: Mapping[str, str], container: Container) -> Scope | None:
    """What the request's headers ask for, or None where they name no part. Raises 400, 410."""
    key = headers.get("x-ms-documentdb-partitionkey")
    if key is not None:
        parsed = container.partition_key.parse_header(key, prefix=True)
        if len(parsed.components) == len(container.partition_key.paths):
            return Scope(exact=parsed.epk)
        return Scope(parsed.epk, parsed.epk + MAXIMUM)
    range_id = headers.get("x-ms-documentdb-partitionkeyrangeid")
    if range_id is not None and range_id.rpartition(",")[2] != RANGE_ID:
        raise CosmosError(
            410,
            f"Partition key range {range_id!r} does not exist in this container.",
            Substatus.PARTITION_KEY_RANGE_GONE,
        )
    if "x-ms-start-epk" in headers or "x-ms-end-epk" in headers:
        low = _epk(headers.get("x-ms-start-epk", ""))
        high = _epk(headers.get("x-ms-end-epk", "FF"))
        return Scope(low, high, low if _is_single(low, high, container) else None)
    return Scope() if range_id is not None else None


def _epk(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise bad_request("x-ms-start-epk and x-ms-end-epk must be hexadecimal.") from None


def _is_single(low: bytes, high: bytes, container: Container) -> bool:
    """The SDKs ask for one partition as [epk, epk + 1): serve it from the partition's index."""
    length = EPK_BYTES * (len(container.partition_key.paths))
    return (
        len(low) == len(high) == length
        and int.from_bytes(high, "big") - int.from_bytes(low, "big") == 1
    )
