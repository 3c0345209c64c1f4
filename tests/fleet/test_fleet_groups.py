"""Groups: making, editing and deleting them, while devices come and go."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from services.api.logic import groups, pairing
from services.api.logic.device_edit import DeviceChanges, edit_device
from services.api.logic.groups import GroupChanges
from services.api.logic.ids import new_group_id
from services.api.resources import Resources
from shared.errors import Conflict, NotFound
from shared.schemas.documents import GroupDocument
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.interruptions import KilledError, Steps

FIELDS = {
    "name": "Boiler rooms",
    "client_name": "Rossi",
    "email": "plant@example.com",
    "telephone": "+39 06 555 0100",
}


async def test_groups_are_made_read_edited_and_deleted(
    client: httpx.AsyncClient, alice: Customer, bob: Customer
) -> None:
    made = await client.post(f"{alice.base}/groups", json=FIELDS)
    assert made.status_code == 201, made.text
    group = made.json()
    assert group == {"id": group["id"], "group_of_user_id": alice.user_id, **FIELDS}
    url = made.headers["location"]
    assert url == f"{alice.base}/groups/{group['id']}"
    read = await client.get(url)
    assert (read.json(), read.headers["etag"]) == (group, made.headers["etag"])
    assert group in (await client.get(f"{alice.base}/groups")).json()

    edited = await client.patch(
        url, json={"name": "South"}, headers={"If-Match": made.headers["etag"]}
    )
    assert edited.json() == group | {"name": "South"}
    for method in ("PATCH", "DELETE"):
        body = {"json": {"name": "Lost"}} if method == "PATCH" else {}
        headers = {"If-Match": made.headers["etag"]}
        lost = await client.request(method, url, headers=headers, **cast("Any", body))
        assert lost.status_code == 412
    unchanged = await client.patch(url, json={})
    assert (unchanged.json(), unchanged.headers["etag"]) == (edited.json(), edited.headers["etag"])

    foreign = f"{bob.base}/groups/{group['id']}"
    assert (await client.get(foreign)).status_code == 404
    assert (await client.patch(foreign, json={"name": "Mine"})).status_code == 404
    assert (await client.delete(foreign)).status_code == 404
    gone = await client.delete(url, headers={"If-Match": edited.headers["etag"]})
    assert (gone.status_code, gone.json()) == (200, {"result": "deleted"})
    assert (await client.get(url)).status_code == 404
    assert (await client.delete(url)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "n" * 101},
        {"name": "a\tb"},
        {"name": None},
        {"email": "nobody"},
        {"telephone": 39},
        {"id": "mine"},
    ],
)
async def test_what_cannot_be_a_group_is_refused(
    client: httpx.AsyncClient, alice: Customer, wrong: dict[str, object]
) -> None:
    assert (await client.post(f"{alice.base}/groups", json=FIELDS | wrong)).status_code == 400
    reply = await client.patch(f"{alice.base}/groups/any", json=wrong)
    assert reply.status_code in (400, 404)


async def test_an_account_has_a_limited_number_of_groups(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    hoarder = await new_customer(resources)
    operations = [
        ("create", (GroupDocument(id=new_group_id(), user_id=hoarder.user_id).model_dump(),))
        for _ in range(groups.MAX_GROUPS)
    ]
    for first in range(0, len(operations), 100):
        part = operations[first : first + 100]
        await resources.groups.container.execute_item_batch(part, hoarder.user_id)
    reply = await client.post(f"{hoarder.base}/groups", json=FIELDS)
    assert reply.status_code == 409


async def test_a_group_with_devices_is_deleted_only_where_they_can_go(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores
) -> None:
    erin = await new_customer(resources)
    first, second = [
        (await client.post(f"{erin.base}/groups", json={"name": name})).json()["id"]
        for name in ("First", "Second")
    ]
    made = [await new_gateway(stores) for _ in range(3)]
    for each in made:
        await pairing.pair(stores, pairing_request(erin, each, group_id=first))
    url = f"{erin.base}/groups/{first}"
    refused = await client.delete(url)
    assert refused.status_code == 409
    assert "in this group (3)" in refused.json()["error"]
    for move_to, status in ((first, 400), ("nothing", 404), ("no id", 400)):
        assert (await client.delete(url, params={"move_to": move_to})).status_code == status
    assert (await client.delete(url, params={"move_to": second})).status_code == 200
    assert (await client.get(url)).status_code == 404
    listed = (await client.get(f"{erin.base}/devices/group/{second}")).json()
    assert {each["device_id"] for each in listed} == {each.device_id for each in made}
    for each in made:
        assert (await stores.hub.get_twin(each.device_id)).tags["group_id"] == second
    assert (
        await client.delete(f"{erin.base}/groups/{second}", params={"move_to": ""})
    ).status_code == 200
    devices = (await client.get(f"{erin.base}/devices")).json()
    assert [each["device"]["group_id"] for each in devices] == ["", "", ""]


@pytest.mark.parametrize(
    ("how", "then"), [("edit", "continues"), ("edit", "is killed"), ("pair", "continues")]
)
async def test_a_group_that_is_deleted_at_any_step_of_a_device_joining_it_holds_no_device(
    resources: Resources, stores: pairing.Stores, alice: Customer, how: str, then: str
) -> None:
    """Either the deletion is refused and the device is in the group, or neither."""
    made = await new_gateway(stores)
    if how == "edit":
        await pairing.pair(stores, pairing_request(alice, made))
    for step in itertools.count(1):
        if how == "pair":
            made = await new_gateway(stores)
        group = await _group(stores, alice)
        deleted: list[bool] = []

        async def at(
            number: int, step: int = step, group: str = group, deleted: list[bool] = deleted
        ) -> None:
            if number == step:
                deleted.append(await _delete(resources, stores, alice, group))
                if then == "is killed":
                    raise KilledError

        watched = Steps(stores, at, reads=True)
        with suppress(KilledError, NotFound):
            if how == "pair":
                await pairing.pair(watched.stores, pairing_request(alice, made, group_id=group))
            else:
                wanted = DeviceChanges(group_id=group)
                await edit_device(watched.stores, alice.user_id, made.device_id, wanted)
        if not deleted:
            assert step > 2
            return
        await _require_whole(stores, alice, made.device_id, group)


@pytest.mark.parametrize(("move_to", "then"), [(None, "continues"), ("", "is killed")])
async def test_a_device_that_joins_at_any_step_of_the_groups_deletion_is_in_a_group_that_is_there(
    resources: Resources, stores: pairing.Stores, alice: Customer, move_to: str | None, then: str
) -> None:
    made, member = await new_gateway(stores), await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, made))
    await pairing.pair(stores, pairing_request(alice, member))
    for step in itertools.count(1):
        group = await _group(stores, alice)
        if move_to is not None:
            inside = DeviceChanges(group_id=group)
            await edit_device(stores, alice.user_id, member.device_id, inside)
        wanted = DeviceChanges(group_id=group)
        joined: list[bool] = []

        async def at(
            number: int,
            step: int = step,
            device_id: str = made.device_id,
            wanted: DeviceChanges = wanted,
            joined: list[bool] = joined,
        ) -> None:
            if number == step:
                try:
                    await edit_device(stores, alice.user_id, device_id, wanted)
                    joined.append(True)
                except NotFound:
                    joined.append(False)
                if then == "is killed":
                    raise KilledError

        watched = Steps(stores, at, reads=True)
        with suppress(KilledError):
            members = watched.watched(resources.group_members, reads=True)
            await _delete(
                replace(resources, group_members=members), watched.stores, alice, group, move_to
            )
        if not joined:
            assert step > 2
            return
        await _require_whole(stores, alice, made.device_id, group)
        await _require_whole(stores, alice, member.device_id, group)
        # Whatever was interrupted: the group can be used, and be deleted.
        if step % 2 and await stores.groups.get(alice.user_id, group):
            await edit_device(stores, alice.user_id, made.device_id, wanted)
            assert await _delete(resources, stores, alice, group, move_to="")


async def test_deleting_joining_and_editing_all_at_once(
    resources: Resources, stores: pairing.Stores, alice: Customer
) -> None:
    made = [await new_gateway(stores) for _ in range(4)]
    for each in made:
        await pairing.pair(stores, pairing_request(alice, each))
    for _ in range(2):
        group = await _group(stores, alice)
        wanted = DeviceChanges(group_id=group)
        outcomes = await asyncio.gather(
            *(edit_device(stores, alice.user_id, each.device_id, wanted) for each in made),
            groups.update(stores, alice.user_id, group, GroupChanges(name="New"), None),
            _delete(resources, stores, alice, group),
            _delete(resources, stores, alice, group, move_to=""),
            return_exceptions=True,
        )
        wrong = [one for one in outcomes if isinstance(one, BaseException)]
        assert all(isinstance(one, NotFound | Conflict) for one in wrong), wrong
        for each in made:
            await _require_whole(stores, alice, each.device_id, group)


async def _group(stores: pairing.Stores, customer: Customer) -> str:
    group = GroupDocument(id=new_group_id(), user_id=customer.user_id, name="G")
    assert await stores.groups.create(group)
    return group.id


async def _delete(
    resources: Resources,
    stores: pairing.Stores,
    customer: Customer,
    group_id: str,
    move_to: str | None = None,
) -> bool:
    """False where it was refused."""
    try:
        await groups.delete(
            stores,
            resources.group_members,
            user_id=customer.user_id,
            group_id=group_id,
            move_to=move_to,
            if_match=None,
        )
    except Conflict:
        return False
    return True


async def _require_whole(
    stores: pairing.Stores, customer: Customer, device_id: str, group_id: str
) -> None:
    """The device is in no group that is gone, and its twin says so too once it is settled."""
    entry = await stores.devices.get(customer.user_id, device_id)
    if entry is None:
        return
    group = await stores.groups.get(customer.user_id, group_id)
    assert entry.group_id in ("", *([group_id] if group else []))
