"""Transactional batches: up to 100 operations on one partition key, all or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator.cosmos import charges
from emulator.cosmos.containers import Container
from emulator.cosmos.errors import CosmosError, bad_request, too_large
from emulator.cosmos.items import Item
from emulator.cosmos.operations import Operations
from emulator.cosmos.partition_key import PartitionKey
from emulator.cosmos.transactions import Transaction, transaction
from emulator.store import Store

MAX_OPERATIONS = 100
MAX_BYTES = 2 * 1024 * 1024
FAILED_DEPENDENCY = 424


@dataclass(frozen=True, slots=True)
class Result:
    """One operation's part of the reply."""

    status: int
    charge: float
    item: Item | None = None

    def text(self, *, minimal: bool) -> str:
        fields = f'"statusCode":{self.status},"requestCharge":{self.charge:.2f}'
        if self.item is not None:
            fields += f',"eTag":"\\"{self.item.etag[1:-1]}\\""'
            if not minimal:
                fields += f',"resourceBody":{self.item.body}'
        return f"{{{fields}}}"


@dataclass(frozen=True, slots=True)
class BatchReply:
    status: int  # 200, or 207 where an operation failed and nothing was changed
    charge: float
    body: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What the operations of one batch work on."""

    operations: Operations
    tx: Transaction
    key: PartitionKey
    strong: bool

    def run(self, entry: object) -> Result:
        """Carry out one entry of the request. Raises CosmosError."""
        if not isinstance(entry, dict):
            raise bad_request("A batch operation must be an object.")
        kind = str(entry.get("operationType", ""))
        handler = HANDLERS.get(kind.lower())
        if handler is None:
            raise bad_request(f"operationType {kind!r} is unknown; use {', '.join(HANDLERS)}.")
        return handler(self, entry)


def run_batch(
    store: Store,
    operations: Operations,
    container: Container,
    key: PartitionKey,
    body: Any,
    *,
    size: int,
    strong: bool,
    minimal: bool,
) -> BatchReply:
    """Run a batch of `size` bytes. Raises CosmosError 400 or 413 for the batch as a whole."""
    if not isinstance(body, list) or not body:
        raise bad_request("A batch must be a non-empty list of operations.")
    if len(body) > MAX_OPERATIONS:
        raise bad_request(f"Batch request has more operations than {MAX_OPERATIONS}.")
    if size > MAX_BYTES:
        raise too_large(f"The batch has {size} bytes, {MAX_BYTES} are allowed.")
    results: list[Result] = []
    try:
        with transaction(store, container) as tx:
            batch = Batch(operations, tx, key, strong)
            for entry in body:
                results.append(batch.run(entry))
    except CosmosError as error:
        failed = [Result(FAILED_DEPENDENCY, 0.0)] * len(body)
        failed[len(results)] = Result(error.status, charges.METADATA)
        charge = sum(result.charge for result in results) + charges.METADATA
        return BatchReply(207, charge, _reply(failed, minimal=minimal))
    charge = sum(result.charge for result in results)
    return BatchReply(200, charge, _reply(results, minimal=minimal))


def _reply(results: list[Result], *, minimal: bool) -> str:
    return f"[{','.join(result.text(minimal=minimal) for result in results)}]"


def _create(batch: Batch, entry: dict[str, Any]) -> Result:
    item, charge = batch.operations.create(batch.tx, batch.key, entry.get("resourceBody"))
    return Result(201, charge, item)


def _upsert(batch: Batch, entry: dict[str, Any]) -> Result:
    item, charge, created = batch.operations.upsert(
        batch.tx, batch.key, entry.get("resourceBody"), entry.get("ifMatch")
    )
    return Result(201 if created else 200, charge, item)


def _read(batch: Batch, entry: dict[str, Any]) -> Result:
    item, charge = batch.operations.read(
        batch.tx.container, batch.key, _id(entry), strong=batch.strong
    )
    if entry.get("ifNoneMatch") == item.etag:
        return Result(304, charge)
    return Result(200, charge, item)


def _replace(batch: Batch, entry: dict[str, Any]) -> Result:
    item, charge = batch.operations.replace(
        batch.tx, batch.key, _id(entry), entry.get("resourceBody"), entry.get("ifMatch")
    )
    return Result(200, charge, item)


def _patch(batch: Batch, entry: dict[str, Any]) -> Result:
    item, charge = batch.operations.patch(
        batch.tx, batch.key, _id(entry), entry.get("resourceBody"), entry.get("ifMatch")
    )
    return Result(200, charge, item)


def _delete(batch: Batch, entry: dict[str, Any]) -> Result:
    charge = batch.operations.delete(batch.tx, batch.key, _id(entry), entry.get("ifMatch"))
    return Result(204, charge)


def _id(entry: dict[str, Any]) -> str:
    id_ = entry.get("id")
    if not isinstance(id_, str):
        raise bad_request("A batch operation on an item needs its id.")
    return id_


HANDLERS: dict[str, Callable[[Batch, dict[str, Any]], Result]] = {
    "create": _create,
    "upsert": _upsert,
    "read": _read,
    "replace": _replace,
    "patch": _patch,
    "delete": _delete,
}
