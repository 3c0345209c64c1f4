"""The indexes that queries bring about, and that SQLite uses them."""

from collections.abc import AsyncIterator

import pytest

from emulator.cosmos.catalog import Catalog
from emulator.cosmos.containers import Container
from emulator.cosmos.items import Items
from emulator.cosmos.query.grammar import parse_query
from emulator.cosmos.query.plan import plan_query
from emulator.cosmos.query.run import statements
from emulator.cosmos.scope import Scope
from emulator.cosmos.transactions import transaction
from emulator.store import Store

World = tuple[Store, Catalog, Container]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    store = Store(tmp_path_factory.mktemp("indexes") / "store.db")
    catalog, items = Catalog(store), Items(store)
    definition = {
        "id": "c",
        "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2},
        "indexingPolicy": {
            "includedPaths": [{"path": "/*"}],
            "compositeIndexes": [[{"path": "/pk"}, {"path": "/s"}, {"path": "/id"}]],
        },
    }
    container = catalog.create_container(catalog.create_database({"id": "d"}), definition)
    key = container.partition_key.parse_header('["p"]')
    with transaction(store, container) as tx:
        for n in range(200):
            items.create(tx, key, {"id": str(n), "pk": "p", "n": n, "s": str(n % 7)})
    yield store, catalog, container
    store.close()


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM c WHERE c.s = '3'",
        "SELECT * FROM c ORDER BY c.n",
        "SELECT * FROM c ORDER BY c.n DESC",
        "SELECT * FROM c ORDER BY c._ts DESC",
        "SELECT * FROM c WHERE c.s != '3' ORDER BY c.n",
        "SELECT * FROM c ORDER BY c.pk, c.s, c.id",
        "SELECT * FROM c ORDER BY c.pk DESC, c.s DESC, c.id DESC",
    ],
)
async def test_every_page_of_a_query_seeks_its_index(
    world: World, query: str, narrow: bool
) -> None:
    store, catalog, container = world
    key = container.partition_key.parse_header('["p"]')
    scope = Scope(exact=key.epk) if narrow else Scope()
    plan = plan_query(parse_query(query), {}, container, scope, cross_partition=not narrow)
    assert plan.index_columns is not None
    catalog.index_path(container, plan.index_name, plan.index_columns)
    assert plan.index_name in Catalog(store).containers()[0].indexed_paths
    after = tuple(4 if column.sql.startswith("CASE") else "5" for column in plan.key[:-1])
    for start in (None, (*after, 100)):
        for sql, parameters in statements(container, plan, start):
            rows = store.read(f"EXPLAIN QUERY PLAN {sql}", (*parameters, 10)).fetchall()
            steps = [row[3] for row in rows]
            seeks = (f"{container.table}_by_{plan.index_name}", "(epk=? AND id=?)")
            assert any(index in step for index in seeks for step in steps), steps
            assert not any("TEMP B-TREE" in step for step in steps), steps


async def test_points_are_looked_up_by_key(world: World) -> None:
    store, _, container = world
    query = "SELECT * FROM c WHERE (c.id = '1' AND c.pk = 'p') OR (c.id = '2' AND c.pk = 'q')"
    plan = plan_query(parse_query(query), {}, container, Scope(), cross_partition=True)
    ((sql, parameters),) = statements(container, plan, None)
    steps = [row[3] for row in store.read(f"EXPLAIN QUERY PLAN {sql}", (*parameters, 10))]
    assert any("(epk=? AND id=?)" in step for step in steps), steps
    assert [row[1] for row in store.read(sql, (*parameters, 10))] == [2]
