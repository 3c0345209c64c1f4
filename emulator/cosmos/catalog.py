"""Databases and containers: kept in SQLite, looked up in memory."""

import time
from collections.abc import Mapping
from typing import Any

from emulator.cosmos.containers import Container, Database, check_definition, check_id
from emulator.cosmos.errors import bad_request, conflict, not_found
from emulator.cosmos.resource_ids import container_rid, database_rid
from emulator.cosmos.values import Document, dumps, loads
from emulator.store import Store

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS cosmos_databases (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, ts INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS cosmos_containers (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        database INTEGER NOT NULL REFERENCES cosmos_databases (number),
        definition TEXT NOT NULL, created INTEGER NOT NULL, ts INTEGER NOT NULL,
        lsn INTEGER NOT NULL, last_item INTEGER NOT NULL)""",
)


class Catalog:
    """The account's databases. Lookups take an id or, as in a `_self` link, a rid."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(*SCHEMA)
        self.databases: dict[str, Database] = {}
        by_number: dict[int, Database] = {}
        for number, id_, ts in store.read("SELECT number, id, ts FROM cosmos_databases"):
            self.databases[id_] = by_number[number] = Database(number, id_, ts)
        rows = store.read(
            "SELECT number, database, definition, created, ts, lsn, last_item "
            "FROM cosmos_containers"
        )
        for number, database, text, created, ts, lsn, last_item in rows.fetchall():
            owner = by_number[database]
            container = Container(number, owner, loads(text), ts, lsn, last_item)
            container.created_ts = created
            container.indexed_paths = self._indexed_paths(container)
            owner.containers[container.id] = container

    def containers(self) -> list[Container]:
        """Every container of the account."""
        return [c for database in self.databases.values() for c in database.containers.values()]

    def holds(self, container: Container) -> bool:
        """Whether the container has not been deleted meanwhile."""
        owner = container.database
        return (
            self.databases.get(owner.id) is owner
            and owner.containers.get(container.id) is container
        )

    def database(self, name: str) -> Database:
        """Raises 404."""
        if name in self.databases:
            return self.databases[name]
        for database in self.databases.values():
            if database_rid(database.number) == name:
                return database
        raise not_found(f"database {name!r}")

    def container(self, database_name: str, name: str) -> Container:
        """Raises 404."""
        database = self.database(database_name)
        if name in database.containers:
            return database.containers[name]
        for container in database.containers.values():
            if container_rid(database.number, container.number) == name:
                return container
        raise not_found(f"container {name!r} of database {database.id!r}")

    def create_database(self, body: Mapping[str, Any]) -> Database:
        """Raises 400, 409."""
        id_ = check_id(body.get("id"))
        if id_ in self.databases:
            raise conflict(f"Database {id_!r} already exists.")
        now = int(time.time())
        number = self._store.write(
            "INSERT INTO cosmos_databases (id, ts) VALUES (?, ?)", (id_, now)
        ).lastrowid
        assert number is not None
        self.databases[id_] = Database(number, id_, now)
        return self.databases[id_]

    def delete_database(self, database: Database) -> None:
        for container in list(database.containers.values()):
            self.delete_container(container)
        self._store.write("DELETE FROM cosmos_databases WHERE number = ?", (database.number,))
        del self.databases[database.id]

    def create_container(self, database: Database, body: Mapping[str, Any]) -> Container:
        """Raises 400, 409, 501."""
        definition = check_definition(body)
        if definition["id"] in database.containers:
            raise conflict(f"Container {definition['id']!r} already exists.")
        now = int(time.time())
        number = self._store.write(
            "INSERT INTO cosmos_containers (database, definition, created, ts, lsn, last_item) "
            "VALUES (?, ?, ?, ?, 0, 0)",
            (database.number, dumps(definition), now, now),
        ).lastrowid
        assert number is not None
        container = Container(number, database, definition, now)
        for statement in _item_tables(container):
            self._store.write(statement)
        database.containers[container.id] = container
        return container

    def replace_container(self, container: Container, body: Mapping[str, Any]) -> None:
        """Change time to live and indexing policy. Raises 400 for what cannot be changed."""
        definition = check_definition({**_immutable(container, body), **body})
        if definition["id"] != container.id:
            raise bad_request("The id of a container cannot be changed.")
        for name in ("partitionKey", "uniqueKeyPolicy"):
            if definition.get(name) != container.definition.get(name):
                raise bad_request(f"The {name} of a container cannot be changed.")
        self._store.write(
            "UPDATE cosmos_containers SET definition = ? WHERE number = ?",
            (dumps(definition), container.number),
        )
        retime = definition.get("defaultTtl") != container.default_ttl
        container.define(definition)
        if retime:
            self._retime(container)

    def delete_container(self, container: Container) -> None:
        self._store.write(f"DROP TABLE {container.table}")
        self._store.write(f"DROP TABLE {container.unique_table}")
        self._store.write("DELETE FROM cosmos_containers WHERE number = ?", (container.number,))
        del container.database.containers[container.id]

    def index_path(self, container: Container, name: str, columns: str) -> None:
        """Add an index over JSON expressions, once; it is kept with the container."""
        self._store.write(
            f'CREATE INDEX IF NOT EXISTS "{container.table}_by_{name}" '
            f"ON {container.table} ({columns})"
        )
        container.indexed_paths.add(name)

    def _indexed_paths(self, container: Container) -> set[str]:
        prefix = f"{container.table}_by_"
        rows = self._store.read(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?",
            (container.table,),
        )
        return {name[len(prefix) :] for (name,) in rows if name.startswith(prefix)}

    def _retime(self, container: Container) -> None:
        """The container's default time to live changed: so did every item's expiry."""
        default = container.default_ttl
        self._store.write(
            f"""UPDATE {container.table} SET expires = CASE
                WHEN ?1 IS NULL THEN NULL
                WHEN coalesce(json_extract(body, '$.ttl'), ?1) = -1 THEN NULL
                ELSE ts + coalesce(json_extract(body, '$.ttl'), ?1) END""",  # noqa: S608
            (default,),
        )


def _immutable(container: Container, body: Mapping[str, Any]) -> Document:
    """Parts that a replacement may leave out."""
    names = ("uniqueKeyPolicy",) if "uniqueKeyPolicy" not in body else ()
    return {name: container.definition[name] for name in names if name in container.definition}


def _item_tables(container: Container) -> tuple[str, ...]:
    items, unique = container.table, container.unique_table
    return (
        f"""CREATE TABLE {items} (
            number INTEGER PRIMARY KEY, epk BLOB NOT NULL, id TEXT NOT NULL,
            etag TEXT NOT NULL, lsn INTEGER NOT NULL, ts INTEGER NOT NULL, expires REAL,
            body TEXT NOT NULL, UNIQUE (epk, id))""",
        f"CREATE INDEX {items}_partition ON {items} (epk)",
        f"CREATE INDEX {items}_feed ON {items} (lsn)",
        f"CREATE INDEX {items}_partition_feed ON {items} (epk, lsn)",
        f"CREATE INDEX {items}_expiry ON {items} (expires) WHERE expires IS NOT NULL",
        f"""CREATE TABLE {unique} (
            epk BLOB NOT NULL, policy INTEGER NOT NULL, value TEXT NOT NULL,
            item INTEGER NOT NULL, PRIMARY KEY (epk, policy, value)) WITHOUT ROWID""",
        f"CREATE INDEX {unique}_item ON {unique} (item)",
    )
