"""Items: create, upsert, read, replace, patch, delete, under ETags and unique keys."""

import time
from dataclasses import dataclass

from emulator.cosmos.containers import Container, check_id, check_ttl
from emulator.cosmos.errors import (
    Substatus,
    bad_request,
    conflict,
    not_emulated,
    not_found,
    precondition_failed,
    too_large,
)
from emulator.cosmos.partition_key import PartitionKey, Path
from emulator.cosmos.resource_ids import item_number, item_rid
from emulator.cosmos.transactions import Transaction
from emulator.cosmos.values import Document, dumps
from emulator.store import Store

MAX_ITEM_BYTES = 2 * 1024 * 1024
SYSTEM_PROPERTIES = frozenset({"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"})


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item; `body` is its whole document as JSON text, system properties included."""

    number: int
    id: str
    etag: str
    body: str
    expires: float | None = None

    @property
    def size(self) -> int:
        return len(self.body)


class Items:
    """The items of all containers. Reads see what is written; the caller awaits durability."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, container: Container, key: PartitionKey, id_: str) -> Item:
        """The item by id, or by rid as in its `_self` link. Raises 404."""
        item = self._find(container, key, id_)
        if item is None:
            number = item_number(id_)
            item = self._find_number(container, key, number) if number is not None else None
        if item is None or _expired(item, time.time()):
            raise not_found(f"item {id_!r}")
        return item

    def create(self, tx: Transaction, key: PartitionKey, document: Document) -> Item:
        """Raises 400, 409 where id or unique key is taken, 413."""
        self._check(tx.container, key, document)
        existing = self._find(tx.container, key, document["id"])
        if existing is not None and not _expired(existing, tx.now):
            raise conflict(
                "Entity with the specified id already exists in the system. "
                f"Item {existing.id!r} exists in this partition."
            )
        if existing is not None:
            self._remove(tx.container, existing)
        return self._insert(tx, key, document)

    def upsert(
        self, tx: Transaction, key: PartitionKey, document: Document, if_match: str | None
    ) -> tuple[Item, bool]:
        """The item, and whether it is new; `if_match` counts only where it exists, as in Azure.

        Raises 400, 409, 412, 413.
        """
        self._check(tx.container, key, document)
        existing = self._find(tx.container, key, document["id"])
        if existing is None or _expired(existing, tx.now):
            return self.create(tx, key, document), True
        check_etag(existing, if_match)
        return self._update(tx, key, existing, document), False

    def replace(
        self,
        tx: Transaction,
        key: PartitionKey,
        id_: str,
        document: Document,
        if_match: str | None,
    ) -> Item:
        """Raises 400, 404, 409, 412, 413."""
        existing = self.read(tx.container, key, id_)
        check_etag(existing, if_match)
        return self.update(tx, key, existing, document)

    def update(
        self, tx: Transaction, key: PartitionKey, existing: Item, document: Document
    ) -> Item:
        """Replace an item that was read in the same turn. Raises 400, 409, 413."""
        self._check(tx.container, key, document)
        if document["id"] != existing.id:
            raise not_emulated("Changing an item's id by replacing it")
        return self._update(tx, key, existing, document)

    def delete(self, tx: Transaction, key: PartitionKey, id_: str, if_match: str | None) -> Item:
        """The item that was. Raises 404, 412."""
        existing = self.read(tx.container, key, id_)
        check_etag(existing, if_match)
        self._remove(tx.container, existing)
        return existing

    def purge(self, container: Container, now: float, limit: int) -> int:
        """Delete up to `limit` items whose time to live is over; how many there were."""
        rows = self._store.read(
            f"SELECT number FROM {container.table} WHERE expires <= ? LIMIT ?",  # noqa: S608
            (now, limit),
        ).fetchall()
        if rows:
            self._store.write_many(f"DELETE FROM {container.table} WHERE number = ?", rows)  # noqa: S608
            if container.unique_keys:
                self._store.write_many(
                    f"DELETE FROM {container.unique_table} WHERE item = ?",  # noqa: S608
                    rows,
                )
        return len(rows)

    def _find(self, container: Container, key: PartitionKey, id_: str) -> Item | None:
        row = self._store.read(
            f"SELECT number, id, etag, body, expires FROM {container.table} "  # noqa: S608
            "WHERE epk = ? AND id = ?",
            (key.epk, id_),
        ).fetchone()
        return Item(*row) if row else None

    def _find_number(self, container: Container, key: PartitionKey, number: int) -> Item | None:
        row = self._store.read(
            f"SELECT number, id, etag, body, expires FROM {container.table} "  # noqa: S608
            "WHERE number = ? AND epk = ?",
            (number, key.epk),
        ).fetchone()
        return Item(*row) if row else None

    def _check(self, container: Container, key: PartitionKey, document: Document) -> None:
        check_id(document.get("id"))
        if not container.partition_key.matches(document, key):
            raise bad_request(
                "PartitionKey extracted from document doesn't match the one specified in the "
                "header.",
                Substatus.PARTITION_KEY_MISMATCH,
            )

    def _insert(self, tx: Transaction, key: PartitionKey, document: Document) -> Item:
        number = tx.next_item()
        item = self._stored(tx, number, document)
        self._claim_unique_keys(tx.container, key, number, document)
        self._store.write(
            f"INSERT INTO {tx.container.table} "  # noqa: S608
            "(number, epk, id, etag, lsn, ts, expires, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, key.epk, item.id, item.etag, tx.lsn, tx.ts, item.expires, item.body),
        )
        return item

    def _update(
        self, tx: Transaction, key: PartitionKey, existing: Item, document: Document
    ) -> Item:
        item = self._stored(tx, existing.number, document)
        self._claim_unique_keys(tx.container, key, existing.number, document)
        self._store.write(
            f"UPDATE {tx.container.table} "  # noqa: S608
            "SET etag = ?, lsn = ?, ts = ?, expires = ?, body = ? WHERE number = ?",
            (item.etag, tx.lsn, tx.ts, item.expires, item.body, item.number),
        )
        return item

    def _remove(self, container: Container, item: Item) -> None:
        self._store.write(f"DELETE FROM {container.table} WHERE number = ?", (item.number,))  # noqa: S608
        if container.unique_keys:
            self._store.write(
                f"DELETE FROM {container.unique_table} WHERE item = ?",  # noqa: S608
                (item.number,),
            )

    def _stored(self, tx: Transaction, number: int, document: Document) -> Item:
        """The document as it will be kept, with its system properties."""
        container = tx.container
        rid = item_rid(container.rid, number)
        etag = tx.next_etag()
        try:
            own = dumps({k: v for k, v in document.items() if k not in SYSTEM_PROPERTIES})
            size = len(own.encode())
        except ValueError as error:
            raise bad_request(f"The item cannot be stored: {error}.") from None
        if size > MAX_ITEM_BYTES:
            raise too_large(f"Request size is too large: {size} bytes, {MAX_ITEM_BYTES} allowed.")
        body = (
            f'{own[:-1]},"_rid":"{rid}","_self":"{container.link}docs/{rid}/",'
            f'"_etag":"\\"{etag[1:-1]}\\"","_attachments":"attachments/","_ts":{tx.ts}}}'
        )
        return Item(number, document["id"], etag, body, _expiry(tx, document))

    def _claim_unique_keys(
        self, container: Container, key: PartitionKey, number: int, document: Document
    ) -> None:
        if not container.unique_keys:
            return
        table = container.unique_table
        self._store.write(f"DELETE FROM {table} WHERE item = ?", (number,))  # noqa: S608
        for policy, paths in enumerate(container.unique_keys):
            value = dumps([_lookup(document, path) for path in paths])
            self._free_expired(container, key, policy, value)
            claimed = self._store.write(
                f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?, ?)",  # noqa: S608
                (key.epk, policy, value, number),
            )
            if claimed.rowcount == 0:
                raise conflict("Unique index constraint violation.")

    def _free_expired(
        self, container: Container, key: PartitionKey, policy: int, value: str
    ) -> None:
        row = self._store.read(
            f"SELECT i.number, i.id, i.etag, i.body, i.expires FROM {container.unique_table} u "  # noqa: S608
            f"JOIN {container.table} i ON i.number = u.item "
            "WHERE u.epk = ? AND u.policy = ? AND u.value = ?",
            (key.epk, policy, value),
        ).fetchone()
        if row and _expired(Item(*row), time.time()):
            self._remove(container, Item(*row))


def check_etag(item: Item, if_match: str | None) -> None:
    """Raises 412 where the item is no longer the version that the client saw."""
    if if_match not in (None, "*", item.etag):
        raise precondition_failed(
            "Operation cannot be performed because one of the specified precondition is not met."
        )


def _expired(item: Item, now: float) -> bool:
    return item.expires is not None and item.expires <= now


def _expiry(tx: Transaction, document: Document) -> float | None:
    """When the item vanishes; its own `ttl` counts only in a container with `defaultTtl`."""
    default = tx.container.default_ttl
    own = document.get("ttl")
    ttl = default if own is None else check_ttl(own)
    if default is None or ttl is None or ttl == -1:
        return None
    return tx.now + ttl


def _lookup(document: Document, path: Path) -> object:
    """A unique key's value; a property that is missing counts as null."""
    value: object = document
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value
