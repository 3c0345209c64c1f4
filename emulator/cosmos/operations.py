"""Item operations with what they cost, as single requests and batches both run them."""

from typing import Any

from emulator.cosmos import charges
from emulator.cosmos.containers import Container
from emulator.cosmos.errors import bad_request, precondition_failed
from emulator.cosmos.items import SYSTEM_PROPERTIES, Item, Items, check_etag
from emulator.cosmos.partition_key import PartitionKey
from emulator.cosmos.patch import apply_patch, parse_patch
from emulator.cosmos.query.condition import holds
from emulator.cosmos.transactions import Transaction
from emulator.cosmos.values import Document, loads


class Operations:
    """Operations on items; each gives the item and its charge in request units."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def read(
        self, container: Container, key: PartitionKey, id_: str, *, strong: bool
    ) -> tuple[Item, float]:
        """Raises 404."""
        item = self._items.read(container, key, id_)
        return item, charges.read(item.size, strong=strong)

    def create(self, tx: Transaction, key: PartitionKey, body: object) -> tuple[Item, float]:
        """Raises 400, 409, 413."""
        item = self._items.create(tx, key, _document(body))
        return item, charges.insert(item.size)

    def upsert(
        self, tx: Transaction, key: PartitionKey, body: object, if_match: str | None
    ) -> tuple[Item, float, bool]:
        """The item, its charge, and whether it is new. Raises 400, 409, 412, 413."""
        item, created = self._items.upsert(tx, key, _document(body), if_match)
        cost = charges.insert if created else charges.replace
        return item, cost(item.size), created

    def replace(
        self, tx: Transaction, key: PartitionKey, id_: str, body: object, if_match: str | None
    ) -> tuple[Item, float]:
        """Raises 400, 404, 409, 412, 413."""
        item = self._items.replace(tx, key, id_, _document(body), if_match)
        return item, charges.replace(item.size)

    def patch(
        self, tx: Transaction, key: PartitionKey, id_: str, body: Any, if_match: str | None
    ) -> tuple[Item, float]:
        """Raises 400, 404, 409, 412 (ETag or condition), 413."""
        patch = parse_patch(body, tx.container.partition_key)
        existing = self._items.read(tx.container, key, id_)
        check_etag(existing, if_match)
        document = loads(existing.body)
        if patch.condition is not None and not holds(patch.condition, document):
            raise precondition_failed("The condition of the patch does not hold for the item.")
        own = {name: v for name, v in document.items() if name not in SYSTEM_PROPERTIES}
        apply_patch(own, patch.operations)
        item = self._items.update(tx, key, existing, own)
        return item, charges.replace(item.size)

    def delete(self, tx: Transaction, key: PartitionKey, id_: str, if_match: str | None) -> float:
        """The charge. Raises 404, 412."""
        return charges.delete(self._items.delete(tx, key, id_, if_match).size)


def _document(body: object) -> Document:
    if not isinstance(body, dict):
        raise bad_request("The input content is invalid: an item must be a JSON object.")
    return body
