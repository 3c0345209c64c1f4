"""The account, databases, containers and partition key ranges, as JSON."""

from typing import Any

from emulator.cosmos.call import ACCOUNT_CONSISTENCY, Call, Reply
from emulator.cosmos.catalog import Catalog
from emulator.cosmos.containers import Container, Database
from emulator.cosmos.errors import CosmosError, not_emulated
from emulator.cosmos.scope import RANGE_ID
from emulator.cosmos.values import Document, dumps

ACCOUNT: Document = {
    "id": "localhost",
    "_self": "",
    "_rid": "localhost",
    "_dbs": "//dbs/",
    "media": "//media/",
    "addresses": "//addresses/",
    "userConsistencyPolicy": {"defaultConsistencyLevel": ACCOUNT_CONSISTENCY},
    "enableMultipleWriteLocations": False,
}
RANGES_ETAG = '"1"'


def account() -> Reply:
    """`GET /`. Without locations in it, the SDKs stay at the endpoint they were given."""
    return _reply(200, ACCOUNT)


def databases(call: Call, catalog: Catalog) -> Reply:
    """`/dbs`"""
    _refuse_query(call)
    if call.verb == "POST":
        return _reply(201, _database(catalog.create_database(call.json_object())))
    _only(call, "GET")
    return _feed("Databases", "", [_database(d) for d in catalog.databases.values()])


def database(call: Call, catalog: Catalog) -> Reply:
    """`/dbs/{db}`"""
    found = catalog.database(call.path[1])
    if call.verb == "DELETE":
        catalog.delete_database(found)
        return Reply(204)
    _only(call, "GET")
    return _reply(200, _database(found))


def containers(call: Call, catalog: Catalog) -> Reply:
    """`/dbs/{db}/colls`"""
    _refuse_query(call)
    owner = catalog.database(call.path[1])
    if call.verb == "POST":
        return _reply(201, _container(catalog.create_container(owner, call.json_object())))
    _only(call, "GET")
    return _feed(
        "DocumentCollections", owner.rid, [_container(c) for c in owner.containers.values()]
    )


def container(call: Call, catalog: Catalog) -> Reply:
    """`/dbs/{db}/colls/{container}`"""
    found = catalog.container(call.path[1], call.path[3])
    if call.verb == "DELETE":
        catalog.delete_container(found)
        return Reply(204)
    if call.verb == "PUT":
        catalog.replace_container(found, call.json_object())
        return _reply(200, _container(found))
    _only(call, "GET")
    return _reply(200, _container(found))


def ranges(call: Call, catalog: Catalog) -> Reply:
    """`/dbs/{db}/colls/{container}/pkranges`: one range, for it never splits."""
    found = catalog.container(call.path[1], call.path[3])
    _only(call, "GET")
    headers = {"etag": RANGES_ETAG}
    if call.headers.get("if-none-match") == RANGES_ETAG:
        return Reply(304, headers=headers)
    whole = {
        "_rid": found.rid,
        "id": RANGE_ID,
        "_etag": RANGES_ETAG,
        "minInclusive": "",
        "maxExclusive": "FF",
        "ridPrefix": 0,
        "_self": f"{found.link}pkranges/{RANGE_ID}/",
        "throughputFraction": 1,
        "status": "online",
        "parents": [],
        "_ts": found.created_ts,
    }
    reply = _feed("PartitionKeyRanges", found.rid, [whole])
    return Reply(200, reply.body, reply.charge, headers)


def _only(call: Call, verb: str) -> None:
    if call.verb != verb:
        raise CosmosError(405, f"{call.verb} is not allowed on /{'/'.join(call.path)}.")


def _refuse_query(call: Call) -> None:
    if call.flag("x-ms-documentdb-isquery"):
        raise not_emulated("A query over databases or containers (list them instead)")


def _database(database: Database) -> Document:
    return {
        "id": database.id,
        "_rid": database.rid,
        "_self": f"dbs/{database.rid}/",
        "_etag": f'"{database.ts:08x}"',
        "_colls": "colls/",
        "_users": "users/",
        "_ts": database.ts,
    }


def _container(container: Container) -> Document:
    return {
        "conflictResolutionPolicy": {
            "mode": "LastWriterWins",
            "conflictResolutionPath": "/_ts",
            "conflictResolutionProcedure": "",
        },
        **container.definition,
        "_rid": container.rid,
        "_self": container.link,
        "_etag": f'"{container.created_ts:08x}"',
        "_docs": "docs/",
        "_sprocs": "sprocs/",
        "_triggers": "triggers/",
        "_udfs": "udfs/",
        "_conflicts": "conflicts/",
        "_ts": container.created_ts,
    }


def _reply(status: int, resource: Document) -> Reply:
    headers = {"etag": resource["_etag"]} if "_etag" in resource else {}
    return Reply(status, dumps(resource), headers=headers)


def _feed(name: str, rid: str, resources: list[Any]) -> Reply:
    return Reply(200, dumps({"_rid": rid, name: resources, "_count": len(resources)}))
