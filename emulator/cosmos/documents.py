"""The routes of items: `/dbs/{db}/colls/{container}/docs` and below."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from emulator.cosmos import change_feed, charges
from emulator.cosmos.batch import run_batch
from emulator.cosmos.call import Call, Reply
from emulator.cosmos.catalog import Catalog
from emulator.cosmos.containers import Container
from emulator.cosmos.errors import CosmosError, Substatus, bad_request, not_emulated
from emulator.cosmos.items import Item, Items
from emulator.cosmos.operations import Operations
from emulator.cosmos.query import continuation
from emulator.cosmos.query.grammar import parse_query
from emulator.cosmos.query.plan import Plan, plan_query
from emulator.cosmos.query.run import run_page
from emulator.cosmos.scope import Scope, scope_of
from emulator.cosmos.transactions import transaction
from emulator.store import Store

READ_ALL = "SELECT * FROM c"
MIN_ITEMS_TO_INDEX = 500  # below this a scan is as fast as keeping an index
MAX_INDEXES = 12


class Documents:
    """Answers requests on items, queries and the change feed."""

    def __init__(self, store: Store, catalog: Catalog, items: Items) -> None:
        self._store = store
        self._catalog = catalog
        self._operations = Operations(items)

    async def answer(self, call: Call) -> Reply:
        """Raises CosmosError."""
        container = self._catalog.container(call.path[1], call.path[3])
        intended = call.headers.get("x-ms-cosmos-intended-collection-rid")
        if intended not in (None, container.rid):
            raise bad_request(
                "The container was deleted and created anew.", Substatus.CONTAINER_RID_MISMATCH
            )
        _refuse_triggers(call)
        reply = await self._dispatch(call, container)
        headers = {
            "x-ms-session-token": f"0:-1#{container.lsn}",
            "lsn": str(container.lsn),
            "x-ms-alt-content-path": quote(f"dbs/{container.database.id}/colls/{container.id}"),
            "x-ms-content-path": container.rid,
        }
        return Reply(reply.status, reply.body, reply.charge, headers | reply.headers)

    async def _dispatch(self, call: Call, container: Container) -> Reply:
        if len(call.path) == 6:
            return self._item(call, container, call.path[5])
        if call.verb == "GET":
            if "a-im" in call.headers:
                return self._change_feed(call, container)
            scope = scope_of(call.headers, container) or Scope()
            return await self._query(call, container, scope, READ_ALL, {})
        if call.verb != "POST":
            raise CosmosError(405, f"{call.verb} is not allowed on a container's items.")
        if call.flag("x-ms-cosmos-is-query-plan-request"):
            raise not_emulated("The query plan endpoint")
        if call.flag("x-ms-documentdb-isquery") or "query" in call.headers.get("content-type", ""):
            text, parameters = _query_of(call)
            return await self._query(
                call, container, _query_scope(call, container), text, parameters
            )
        if call.flag("x-ms-cosmos-is-batch-request"):
            return self._batch(call, container)
        return self._write(call, container)

    def _write(self, call: Call, container: Container) -> Reply:
        """Create or upsert."""
        key, body, if_match = call.key(container), call.json(), _if_match(call)
        with transaction(self._store, container) as tx:
            if not call.flag("x-ms-documentdb-is-upsert"):
                item, charge = self._operations.create(tx, key, body)
                return _written(call, 201, item, charge)
            item, charge, created = self._operations.upsert(tx, key, body, if_match)
            return _written(call, 201 if created else 200, item, charge)

    def _item(self, call: Call, container: Container, id_: str) -> Reply:
        key = call.key(container)
        if call.verb == "GET":
            return self._read(call, container, id_)
        with transaction(self._store, container) as tx:
            match call.verb:
                case "PUT":
                    item, charge = self._operations.replace(
                        tx, key, id_, call.json(), _if_match(call)
                    )
                case "PATCH":
                    item, charge = self._operations.patch(
                        tx, key, id_, call.json(), _if_match(call)
                    )
                case "DELETE":
                    charge = self._operations.delete(tx, key, id_, _if_match(call))
                    return Reply(204, charge=charge)
                case _:
                    raise CosmosError(405, f"{call.verb} is not allowed on an item.")
            return _written(call, 200, item, charge)

    def _read(self, call: Call, container: Container, id_: str) -> Reply:
        item, charge = self._operations.read(
            container, call.key(container), id_, strong=call.strong
        )
        headers = {"etag": item.etag}
        if call.headers.get("if-none-match") in (item.etag, "*"):
            return Reply(304, charge=charge, headers=headers)
        return Reply(200, item.body, charge, headers)

    def _batch(self, call: Call, container: Container) -> Reply:
        if not call.flag("x-ms-cosmos-batch-atomic"):
            raise not_emulated("A batch that is not atomic")
        reply = run_batch(
            self._store,
            self._operations,
            container,
            call.key(container),
            call.json(),
            size=len(call.body),
            strong=call.strong,
            minimal=call.minimal,
        )
        return Reply(reply.status, reply.body, reply.charge)

    async def _query(
        self,
        call: Call,
        container: Container,
        scope: Scope,
        text: str,
        parameters: Mapping[str, Any],
    ) -> Reply:
        cross_partition = scope.exact is None
        plan = plan_query(
            parse_query(text), parameters, container, scope, cross_partition=cross_partition
        )
        self._index(container, plan)
        token = call.headers.get("x-ms-continuation")
        start = continuation.decode(token, text, len(plan.key)) if token else None
        page = await run_page(self._store, container, plan, start, call.page_size())
        headers = {"x-ms-item-count": str(len(page.results))}
        if page.continuation is not None:
            headers["x-ms-continuation"] = continuation.encode(page.continuation, text)
        return _feed(
            container,
            page.results,
            charges.query(
                loaded=page.loaded,
                returned_bytes=sum(map(len, page.results)),
                cross_partition=cross_partition,
                strong=call.strong,
            ),
            headers,
        )

    def _index(self, container: Container, plan: Plan) -> None:
        """Azure indexes every property; here those that a query sorts or selects by."""
        if plan.index_columns is None or container.last_item < MIN_ITEMS_TO_INDEX:
            return
        name = plan.index_name
        if name not in container.indexed_paths and len(container.indexed_paths) < MAX_INDEXES:
            self._catalog.index_path(container, name, plan.index_columns)

    def _change_feed(self, call: Call, container: Container) -> Reply:
        mode = call.headers["a-im"].lower()
        if mode != "incremental feed":
            raise not_emulated(f"The change feed mode {call.headers['a-im']!r}")
        scope = scope_of(call.headers, container) or Scope()
        position = self._position(call, container)
        page = change_feed.read_page(self._store, container, scope, position, call.page_size())
        headers = {"etag": f'"{page.position}"', "x-ms-item-count": str(len(page.documents))}
        charge = charges.query(
            loaded=len(page.documents),
            returned_bytes=sum(map(len, page.documents)),
            cross_partition=False,
            strong=call.strong,
        )
        if not page.documents:
            return Reply(304, charge=charge, headers=headers)
        return _feed(container, page.documents, charge, headers)

    def _position(self, call: Call, container: Container) -> int:
        """Where to read on: an ETag of the feed, `*` for now, a time, or the beginning."""
        token = call.headers.get("if-none-match")
        since = call.headers.get("if-modified-since")
        if token == "*":  # noqa: S105 - a position, no secret
            return container.lsn
        if token is not None:
            digits = token.strip('"')
            if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
                raise bad_request(f"The change feed position {token!r} cannot be read.")
            return min(int(digits), container.lsn)
        if since is None:
            return 0
        try:
            time = parsedate_to_datetime(since).timestamp()
        except ValueError:
            raise bad_request("If-Modified-Since must be an RFC 1123 date.") from None
        return change_feed.position_at(self._store, container, time)


def _refuse_triggers(call: Call) -> None:
    for name in ("x-ms-documentdb-pre-trigger-include", "x-ms-documentdb-post-trigger-include"):
        if name in call.headers:
            raise not_emulated("A trigger")


def _if_match(call: Call) -> str | None:
    """`If-Match` of a write. Azure heeds `If-None-Match` on reads only, so it is refused here."""
    if "if-none-match" in call.headers:
        raise bad_request("If-None-Match applies to reads only; use If-Match for a write.")
    match: str | None = call.headers.get("if-match")
    return match


def _query_of(call: Call) -> tuple[str, dict[str, Any]]:
    body = call.json_object()
    text, given = body.get("query"), body.get("parameters") or []
    if not isinstance(text, str):
        raise bad_request('A query must be {"query": text, "parameters": [...]}.')
    try:
        parameters = {str(entry["name"]): entry.get("value") for entry in given}
    except (TypeError, KeyError, AttributeError):
        raise bad_request('A parameter must be {"name": "@name", "value": ...}.') from None
    return text, parameters


def _query_scope(call: Call, container: Container) -> Scope:
    scope = scope_of(call.headers, container)
    if scope is not None:
        return scope
    if not call.flag("x-ms-documentdb-query-enablecrosspartition"):
        raise bad_request(
            "Cross partition query is required but disabled. Please set "
            "x-ms-documentdb-query-enablecrosspartition to true, specify "
            "x-ms-documentdb-partitionkey, or revise your query to avoid this exception."
        )
    return Scope()


def _written(call: Call, status: int, item: Item, charge: float) -> Reply:
    return Reply(status, "" if call.minimal else item.body, charge, {"etag": item.etag})


def _feed(
    container: Container, documents: list[str], charge: float, headers: dict[str, str]
) -> Reply:
    body = f'{{"_rid":"{container.rid}","Documents":[{",".join(documents)}],'
    return Reply(200, f'{body}"_count":{len(documents)}}}', charge, headers)
