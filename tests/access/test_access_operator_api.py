"""The calls of the platform's operator."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from services.api.factory import create_app
from services.api.logic.ids import device_id_of, new_device_key, new_user_id
from services.api.operator.output import Row, print_pages
from services.api.resources import Resources
from services.api.settings import ApiSettings
from shared.settings import Misconfigured, load_settings
from stack.local import LocalStack
from tests.access.account_calls import Caller
from tests.api.customers import Customer, settings_of
from tests.api.test_api_refusals import assert_error
from tests.known_secrets import watch

KEY = secrets.token_hex(16)
OPERATOR = {"X-Operator-Key": KEY}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/accounts", None),
    ("POST", "/accounts", {"username": "x"}),
    ("GET", "/accounts/nobody", None),
    ("POST", "/accounts/nobody/keys", {"name": "x", "scopes": ["read"]}),
    ("POST", "/accounts/nobody/invitations", {}),
    ("GET", "/namespaces", None),
    ("GET", "/gateways", None),
    ("POST", "/gateways", {"count": 1}),
]


@pytest.fixture(scope="module")
async def operator(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """An api of the same stack that has an operator's key."""
    app = create_app(
        settings_of(stack, operator_key=KEY, strangers_per_minute=20, calls_per_minute=10**6)
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api/api/operator", headers=OPERATOR
        ) as client:
            yield watch(client)


async def test_from_account_to_invited_owner(
    operator: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    user_id = new_user_id()
    body = {"username": "Acme", "user_id": user_id}
    made = await operator.post("/accounts", json=body)
    assert made.status_code == 201
    assert list(made.json()) == ["user_id", "username", "api_key", "queue_connection_string"]
    assert made.json()["queue_connection_string"].endswith(f";EntityPath=user-{user_id}")
    owner = Caller(client, user_id, made.json()["api_key"])
    assert await owner.get("/devices") == []
    assert_error(await operator.post("/accounts", json=body), 409)
    shown = await operator.get(f"/accounts/{user_id}")
    assert made.headers["location"] == f"/api/operator/accounts/{user_id}"
    assert shown.json() == shown.json() | {"username": "Acme", "api_keys": 1, "people": 0}
    assert made.json()["api_key"] not in shown.text

    key = await operator.post(
        f"/accounts/{user_id}/keys", json={"name": "second", "scopes": ["read"]}
    )
    assert key.status_code == 201
    assert await owner.with_key(key.json()["api_key"]).get("/groups") == []
    invited = await operator.post(f"/accounts/{user_id}/invitations", json={"note": "Ada"})
    assert invited.status_code == 201
    assert (invited.json()["role"], invited.json()["created_by"]) == ("owner", "operator")
    assert invited.json()["link"].endswith(f"#{invited.json()['token']}")
    accepted = await client.post(
        "/api/invitations/accept",
        json={
            "token": invited.json()["token"],
            "username": f"ada-{user_id}",
            "password": secrets.token_hex(16),
        },
    )
    assert accepted.json()["person"]["role"] == "owner"
    audit = await owner.get("/audit")
    done = {(each["actor_kind"], each["operation"]) for each in audit["items"]}
    assert {("operator", "createKey"), ("operator", "createInvitation")} <= done


async def test_lists_are_pages_of_the_database(
    operator: httpx.AsyncClient, resources: Resources, alice: Customer, bob: Customer
) -> None:
    accounts = await _all(operator, "/accounts", 2)
    ids = [account["user_id"] for account in accounts]
    assert len(set(ids)) == len(ids), "no account comes twice"
    assert {alice.user_id, bob.user_id} <= set(ids)
    count = [item async for item in resources.accounts.container.query_items("SELECT c.id FROM c")]
    assert len(ids) == len(count)
    assert_error(await operator.get("/accounts?cursor=abc"), 400)
    assert_error(await operator.get("/accounts?cursor=%C3%A9"), 400)
    assert_error(await operator.get("/accounts?limit=0"), 400)
    assert_error(await operator.get("/accounts?limit=201"), 400)


async def test_manufacture_and_list_gateways(operator: httpx.AsyncClient) -> None:
    made = await operator.post("/gateways", json={"count": 2})
    assert made.status_code == 201
    key = new_device_key()
    for _ in range(2):  # the same keys may be sent again
        [mine] = (await operator.post("/gateways", json={"device_keys": [key]})).json()
        assert mine["device_id"] == device_id_of(key)
        assert mine["device_connection_string"].startswith("HostName=")
    listed = await _all(operator, "/gateways", 3)
    ids = {gateway["device_id"] for gateway in listed}
    assert {each["device_id"] for each in [*made.json(), mine]} <= ids
    assert all(key not in str(gateway) for gateway in listed)
    malformed: list[Any] = [
        {},
        {"count": 0},
        {"count": 21},
        {"count": "2"},
        {"device_keys": []},
        {"device_keys": ["short"]},
        {"count": 1, "device_keys": [key]},
    ]
    for body in malformed:
        assert_error(await operator.post("/gateways", json=body), 400)


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_without_the_key_nothing_is_told(
    operator: httpx.AsyncClient, client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    wrong = {"X-Operator-Key": KEY[:-1] + "x"}
    assert_error(await operator.request(method, path, json=body, headers=wrong), 401)
    reply = await client.request(method, f"/api/operator{path}", json=body, headers=OPERATOR)
    assert "MYMOTE_OPERATOR_KEY" in assert_error(reply, 501)


def test_a_short_key_is_refused_and_not_repeated(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.service_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MYMOTE_OPERATOR_KEY", KEY[:31])
    with pytest.raises(Misconfigured) as refused:
        load_settings(ApiSettings)
    assert "MYMOTE_OPERATOR_KEY" in str(refused.value)
    assert KEY[:31] not in str(refused.value)


async def test_unknown_and_malformed_accounts(operator: httpx.AsyncClient) -> None:
    for method, path, body in CALLS:
        if "nobody" in path:
            assert_error(await operator.request(method, path, json=body), 404)
            malformed = path.replace("nobody", "NO%20BODY")
            assert_error(await operator.request(method, malformed, json=body), 400)
    for wrong in ({}, {"username": ""}, {"username": "x", "user_id": "A B"}, {"username": None}):
        assert_error(await operator.post("/accounts", json=wrong), 400)


async def test_guesses_are_few_and_the_right_key_always_passes(
    operator: httpx.AsyncClient,
) -> None:
    wrong = {"X-Operator-Key": secrets.token_hex(16)}
    replies = await asyncio.gather(*(operator.get("/namespaces", headers=wrong) for _ in range(25)))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert {reply.status_code for reply in replies} <= {401, 429}
    assert all(int(reply.headers["retry-after"]) > 0 for reply in refused)
    namespaces = await operator.get("/namespaces")
    assert namespaces.status_code == 200
    assert [each["name"] for each in namespaces.json()] == ["local"]
    assert namespaces.json()[0]["accounts"] > 0


async def _all(operator: httpx.AsyncClient, path: str, limit: int) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    while True:
        reply = await operator.get(path, params={"limit": limit, "cursor": cursor})
        assert reply.status_code == 200, reply.text
        page = reply.json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if not (cursor := page["next"]):
            return found


async def test_many_rows_are_printed_as_their_pages_come(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages = [[{"id": 1, "name": "a"}], [], [{"id": 2, "name": "a longer name"}]]
    await print_pages(_pages(pages), as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == [row for page in pages for row in page]
    await print_pages(_pages([[]]), as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == []
    await print_pages(_pages(pages), as_json=False, empty="")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["id", "name"],
        ["1", "a"],
        ["2", "a", "longer", "name"],
    ]
    await print_pages(_pages([[]]), as_json=False, empty="None yet.")
    assert capsys.readouterr().out == "None yet.\n"


async def _pages(pages: Sequence[Sequence[Row]]) -> AsyncIterator[Sequence[Row]]:
    for page in pages:
        yield page
