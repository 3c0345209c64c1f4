"""API keys: what they may do, until when, and who would break without them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.api.logic.keys import MAX_KEYS, MAX_LIFETIME
from services.api.resources import Resources
from shared.schemas.accounts import ApiKey
from tests.access.account_calls import Caller, caller_of
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error

UNKNOWN = "0" * 16
FIELDS = [
    *("id", "name", "scopes", "created_at", "created_by", "created_by_gone", "expires_at"),
    *("valid", "replaced_by", "last_use"),
]


@pytest.fixture
async def owner(client: httpx.AsyncClient, resources: Resources) -> Caller:
    """Of an account of its own."""
    return caller_of(client, await new_customer(resources))


async def test_a_key_may_do_what_its_scopes_say(owner: Caller) -> None:
    may: dict[str, tuple[int, int, int, int]] = {}
    for scope in ("read", "write", "ota", "admin"):
        key = await owner.new_key(scope)
        caller = owner.with_key(key["api_key"])
        replies = [
            await caller.call("GET", "/devices"),
            await caller.call("POST", "/groups", {}),
            await caller.call("POST", f"/devices/X400_{UNKNOWN}/newapp/a/1"),
            await caller.call("GET", "/account/keys"),
        ]
        for reply in replies:
            if reply.status_code == 403:
                assert f"'{scope}'" in assert_error(reply, 403)
        may[scope] = tuple(reply.status_code == 403 for reply in replies)  # type: ignore[assignment]
    assert may == {
        "read": (False, True, True, True),
        "write": (False, False, True, True),
        "ota": (False, True, False, True),
        "admin": (False, False, False, False),
    }


async def test_make_read_edit_and_revoke(owner: Caller, resources: Resources) -> None:
    made = await owner.call(
        "POST", "/account/keys", {"name": "Büro", "scopes": ["write", "read", "read"]}
    )
    assert made.status_code == 201
    key = made.json()
    assert list(key) == [*FIELDS, "api_key"]
    assert made.headers["location"] == f"/api/user/{owner.user_id}/-/account/keys/{key['id']}"
    shown = await owner.call("GET", f"/account/keys/{key['id']}")
    assert shown.json() == {name: key[name] for name in FIELDS}
    assert shown.headers["etag"] == made.headers["etag"]
    assert (key["scopes"], key["created_by"], key["valid"]) == (["read", "write"], "first", True)

    account = await resources.accounts.get(owner.user_id)
    assert account is not None
    assert key["api_key"] not in account.model_dump_json() + shown.text
    assert account.api_keys[1].sha256 not in shown.text

    etag = shown.headers["etag"]
    edited = await owner.call("PATCH", f"/account/keys/{key['id']}", {"name": "A"}, If_Match=etag)
    assert (edited.status_code, edited.json()["name"]) == (200, "A")
    assert edited.json()["scopes"] == ["read", "write"]
    again = {"scopes": ["write", "read", "write"]}
    assert (await owner.call("PATCH", f"/account/keys/{key['id']}", again)).json() == edited.json()
    late = await owner.call("PATCH", f"/account/keys/{key['id']}", {"name": "B"}, If_Match=etag)
    assert_error(late, 412)
    assert_error(await owner.call("DELETE", f"/account/keys/{key['id']}", If_Match=etag), 412)

    other = owner.with_key(key["api_key"])
    assert await other.get("/devices") == []
    revoked = await owner.call("DELETE", f"/account/keys/{key['id']}")
    assert (revoked.status_code, revoked.json()) == (200, {"result": "revoked"})
    assert_error(await other.call("GET", "/devices"), 401)
    assert_error(await owner.call("DELETE", f"/account/keys/{key['id']}"), 404)


async def test_an_expired_key_opens_nothing_and_says_so_to_its_holder_only(
    owner: Caller, resources: Resources
) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    key = await owner.new_key("read", expires_at=soon)
    holder = owner.with_key(key["api_key"])
    assert await holder.get("/devices") == []
    await _change_key(resources, owner, key["id"], expires_at=datetime.now(UTC))
    expired = assert_error(await holder.call("GET", "/devices"), 401)
    wrong = assert_error(await owner.with_key("0" * 64).call("GET", "/devices"), 401)
    assert "expired" in expired
    assert "expired" not in wrong
    shown = await owner.get(f"/account/keys/{key['id']}")
    assert shown["valid"] is False
    # An owner prolongs what broke too early.
    reply = await owner.call("PATCH", f"/account/keys/{key['id']}", {"expires_at": None})
    assert reply.json()["valid"] is True
    assert await holder.get("/devices") == []


async def test_who_would_break(owner: Caller) -> None:
    key = await owner.new_key("read")
    assert key["last_use"] is None
    holder = owner.with_key(key["api_key"])
    for _ in range(2):
        await holder.get("/devices")
    await holder.get("/groups")
    assert_error(await holder.call("POST", "/groups", {"name": "x"}), 403)
    shown = {each["id"]: each for each in await owner.get("/account/keys")}[key["id"]]
    use = shown["last_use"]
    assert use["address"] == "127.0.0.1"
    counts = {each["operation"]: each["count"] for each in use["operations"]}
    assert counts == {"listDevices": 2, "listGroups": 1}, "what was refused breaks nobody"
    assert use["operations"][0]["operation"] == "listGroups"
    assert use["at"] == use["operations"][0]["at"]


async def test_the_last_way_in_stays(owner: Caller, resources: Resources) -> None:
    [first] = await owner.get("/account/keys")
    reader = await owner.new_key("read")
    path = f"/account/keys/{first['id']}"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ending = await owner.new_key("admin", expires_at=tomorrow)
    for refused in (
        await owner.call("DELETE", path),
        await owner.with_key(ending["api_key"]).call("DELETE", path),
        await owner.call("PATCH", path, {"scopes": ["write", "ota"]}),
        await owner.call("PATCH", path, {"expires_at": tomorrow}),
    ):
        assert "admin" in assert_error(refused, 409)
    assert [key["id"] for key in await owner.get("/account/keys")] == [
        *(first["id"], reader["id"], ending["id"])
    ]
    second = await owner.new_key("admin")
    assert (await owner.call("DELETE", path)).status_code == 200
    assert len(await owner.with_key(second["api_key"]).get("/account/keys")) == 3


async def test_expired_keys_make_room(owner: Caller, resources: Resources) -> None:
    account = await resources.accounts.get_with_etag(owner.user_id)
    assert account is not None
    stored, etag = account
    now = datetime.now(UTC)
    others = [
        ApiKey(
            id=f"{number:016x}",
            name="old",
            sha256=f"{number:064x}",
            created_at=now,
            expires_at=now - timedelta(days=1) if number == 7 else None,
        )
        for number in range(1, MAX_KEYS)
    ]
    full = stored.model_copy(update={"api_keys": [*stored.api_keys, *others]})
    assert await resources.accounts.replace(full, etag)
    await owner.new_key("read")
    ids = [key["id"] for key in await owner.get("/account/keys")]
    assert len(ids) == MAX_KEYS
    assert f"{7:016x}" not in ids
    body = {"name": "one more", "scopes": ["read"]}
    assert "50" in assert_error(await owner.call("POST", "/account/keys", body), 409)
    assert_error(
        await owner.call("POST", f"/account/keys/{ids[0]}/renew", {"overlap_seconds": 0}), 409
    )


CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/account/keys/{id}", None),
    ("PATCH", "/account/keys/{id}", {"name": "x"}),
    ("POST", "/account/keys/{id}/renew", {"overlap_seconds": 0}),
    ("DELETE", "/account/keys/{id}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_another_accounts_key_answers_as_one_that_does_not_exist(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, method: str, path: str, body: Any
) -> None:
    caller = caller_of(client, alice)
    [bobs] = await caller_of(client, bob).get("/account/keys")
    foreign = await caller.call(method, path.format(id=bobs["id"]), body)
    unknown = await caller.call(method, path.format(id=UNKNOWN), body)
    assert_error(foreign, 404)
    assert foreign.content == unknown.content
    assert_error(await caller.call(method, path.format(id="A" * 16), body), 400)
    assert [each["id"] for each in await caller_of(client, bob).get("/account/keys")] == [
        bobs["id"]
    ]


MALFORMED: list[tuple[str, str, Any]] = [
    ("POST", "", {"scopes": ["read"]}),
    ("POST", "", {"name": "", "scopes": ["read"]}),
    ("POST", "", {"name": "  ", "scopes": ["read"]}),
    ("POST", "", {"name": "x" * 101, "scopes": ["read"]}),
    ("POST", "", {"name": 1, "scopes": ["read"]}),
    ("POST", "", {"name": "x", "scopes": []}),
    ("POST", "", {"name": "x", "scopes": ["root"]}),
    ("POST", "", {"name": "x", "scopes": "read"}),
    ("POST", "", {"name": "x", "scopes": ["read"], "sha256": "0"}),
    ("POST", "", {"name": "x", "scopes": ["read"], "expires_at": "tomorrow"}),
    ("POST", "", {"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}),
    ("POST", "", {"name": "x", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59Z"}),
    ("POST", "", {"name": "x", "scopes": ["read"], "expires_at": 1893456000}),
    ("PATCH", "/{id}", {"name": None}),
    ("PATCH", "/{id}", {"scopes": None}),
    ("PATCH", "/{id}", {"expires_at": "2001-01-01T00:00:00Z"}),
    ("PATCH", "/{id}", []),
    ("POST", "/{id}/renew", {}),
    ("POST", "/{id}/renew", {"overlap_seconds": -1}),
    ("POST", "/{id}/renew", {"overlap_seconds": 90 * 86400 + 1}),
    ("POST", "/{id}/renew", {"overlap_seconds": "60"}),
    ("POST", "/{id}/renew", {"overlap_seconds": True}),
    ("POST", "/{id}/renew", {"overlap_seconds": 1.5}),
]


async def test_malformed_bodies_change_nothing(client: httpx.AsyncClient, alice: Customer) -> None:
    caller = caller_of(client, alice)
    before = [_stable(key) for key in await caller.get("/account/keys")]
    for method, path, body in MALFORMED:
        url = f"/account/keys{path.format(id=before[0]['id'])}"
        reply = await caller.call(method, url, body)
        assert reply.status_code == 400, (method, path, body, reply.text)
        assert_error(reply, 400)
    assert [_stable(key) for key in await caller.get("/account/keys")] == before


async def test_renewed_twice_and_lifetime(owner: Caller) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    old = await owner.new_key("read", "ota", expires_at=in_an_hour.isoformat())
    path = f"/account/keys/{old['id']}/renew"
    renewed = await owner.call("POST", path, {"overlap_seconds": 86_400})
    assert renewed.status_code == 201
    new = renewed.json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    lifetime = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert timedelta(minutes=59) < lifetime < timedelta(minutes=61)
    shown = await owner.get(f"/account/keys/{old['id']}")
    assert datetime.fromisoformat(shown["expires_at"]) == in_an_hour, "an earlier end stays"
    assert shown["replaced_by"] == new["id"]
    # The reply was lost, say: another renewal is refused until the lost key is revoked.
    assert new["id"] in assert_error(await owner.call("POST", path, {"overlap_seconds": 0}), 409)
    assert (await owner.call("DELETE", f"/account/keys/{new['id']}")).status_code == 200
    assert (await owner.call("POST", path, {"overlap_seconds": 0})).status_code == 201
    assert_error(await owner.with_key(old["api_key"]).call("GET", "/devices"), 401)


async def test_a_far_expiry_is_bounded(owner: Caller) -> None:
    limit = datetime.now(UTC) + MAX_LIFETIME
    body = {"name": "x", "scopes": ["read"]}
    too_far = body | {"expires_at": (limit + timedelta(minutes=1)).isoformat()}
    assert_error(await owner.call("POST", "/account/keys", too_far), 400)
    far = body | {"expires_at": (limit - timedelta(minutes=1)).isoformat()}
    assert (await owner.call("POST", "/account/keys", far)).status_code == 201


async def _change_key(resources: Resources, owner: Caller, key_id: str, **changes: object) -> None:
    found = await resources.accounts.get_with_etag(owner.user_id)
    assert found is not None
    account, etag = found
    keys = [key.model_copy(update=changes) if key.id == key_id else key for key in account.api_keys]
    assert await resources.accounts.replace(account.model_copy(update={"api_keys": keys}), etag)


def _stable(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "last_use"}
