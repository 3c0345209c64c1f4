"""A device's timeline: entries and notifications as one list."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.api.resources import Resources
from shared.schemas.documents import DeviceDocument, Notification, TimelineEntry
from tests.api.customers import Customer, new_customer

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
DEVICE = "X400_" + "7" * 40


def entry(
    number: int, user_id: str, *, seconds: float, device_id: str = DEVICE, event: str = "started"
) -> TimelineEntry:
    return TimelineEntry(
        id=f"{number:032x}",
        device_id=device_id,
        user_id=user_id,
        event=event,
        detail=f"entry {number}",
        created_at=NOON - timedelta(days=1),
        enqueued_at=NOON + timedelta(seconds=seconds),
    )


def notification(
    number: int, user_id: str, *, seconds: float, device_id: str = DEVICE
) -> dict[str, Any]:
    return Notification(
        id=f"{number:032x}",
        user_id=user_id,
        device_id=device_id,
        device_name="Valve",
        level=2,
        text=f"notification {number}",
        created_at=NOON,
        enqueued_at=NOON + timedelta(seconds=seconds),
    ).model_dump(mode="json")


@pytest.fixture(scope="module")
async def frank(resources: Resources, bob: Customer) -> Customer:
    """An account with a device to which much has happened, also in bob's time."""
    frank = await new_customer(resources)
    device = DeviceDocument(
        id=DEVICE,
        device_id=DEVICE,
        user_id=frank.user_id,
        device_key="k" * 64,
        name="Valve",
        paired_at=NOON,
    )
    assert await resources.devices.put(device)
    # Every third moment is shared by four of them; some have no fraction of a second.
    for number in range(24):
        seconds = (number // 4) * 0.5
        if number % 2:
            made = notification(number, frank.user_id, seconds=seconds)
            await resources.notifications.container.create_item(made)
        else:
            event = "connected" if number % 4 else "started"
            await resources.timeline.add(entry(number, frank.user_id, seconds=seconds, event=event))
    await resources.timeline.add(entry(900, bob.user_id, seconds=1))
    await resources.timeline.add(entry(901, frank.user_id, seconds=1, device_id="X400_" + "8" * 40))
    other = notification(902, frank.user_id, seconds=1, device_id="X400_" + "8" * 40)
    await resources.notifications.container.create_item(other)
    return frank


EXPECTED = sorted(((number // 4) * 0.5, number) for number in range(24))[::-1]
NEWEST_FIRST = [f"{number:032x}" for _, number in EXPECTED]


async def read(client: httpx.AsyncClient, who: Customer, **query: str | int) -> dict[str, Any]:
    reply = await client.get(f"{who.base}/devices/{DEVICE}/timeline", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_all_of_it_is_in_order_and_only_this_accounts(
    client: httpx.AsyncClient, frank: Customer
) -> None:
    found = await read(client, frank)
    assert [each["id"] for each in found["items"]] == NEWEST_FIRST
    assert found["next"] == ""
    newest, second = found["items"][:2]
    assert newest == {
        "id": NEWEST_FIRST[0],
        "at": "2026-03-14T12:00:02.500000Z",
        "created_at": "2026-03-14T12:00:00Z",
        "event": "notification",
        "detail": "notification 23",
        "level": 2,
    }
    assert (second["event"], second["detail"], second["level"]) == ("connected", "entry 22", 0)


@pytest.mark.parametrize("limit", [1, 3, 5, 23, 24])
async def test_pages_hold_each_entry_once(
    client: httpx.AsyncClient, frank: Customer, limit: int
) -> None:
    paged, cursor = [], ""
    while True:
        found = await read(client, frank, limit=limit, cursor=cursor)
        assert 0 < len(found["items"]) <= limit
        paged += [each["id"] for each in found["items"]]
        cursor = found["next"]
        if not cursor:
            break
    assert paged == NEWEST_FIRST


async def test_what_is_new_does_not_disturb_the_pages(
    client: httpx.AsyncClient, resources: Resources, bob: Customer
) -> None:
    grace = await new_customer(resources)
    device = "X400_" + "9" * 40
    document = DeviceDocument(
        id=device,
        device_id=device,
        user_id=grace.user_id,
        device_key="k" * 64,
        name="Valve",
        paired_at=NOON,
    )
    assert await resources.devices.put(document)
    for number in range(4):
        await resources.timeline.add(entry(number, grace.user_id, seconds=number, device_id=device))
    url = f"{grace.base}/devices/{device}/timeline"
    first = (await client.get(url, params={"limit": 2})).json()
    await resources.timeline.add(entry(50, grace.user_id, seconds=50, device_id=device))
    second = (await client.get(url, params={"limit": 2, "cursor": first["next"]})).json()
    ids = [each["detail"] for each in (*first["items"], *second["items"])]
    assert ids == ["entry 3", "entry 2", "entry 1", "entry 0"]
    assert await resources.timeline.delete_of(bob.user_id, device) == 0
    assert await resources.timeline.delete_of(grace.user_id, device) == 5
    assert (await client.get(url)).json() == {"items": [], "next": ""}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"event": "notification"}, range(1, 24, 2)),
        ({"event": "connected"}, range(2, 24, 4)),
        ({"event": "unheard_of"}, []),
        ({"since": "2026-03-14T12:00:02Z"}, range(16, 24)),
        ({"since": "2026-03-14T13:00:00.5+01:00", "until": "2026-03-14T12:00:01.5Z"}, range(4, 12)),
        ({"until": "2026-03-14T12:00:00.000001Z"}, range(4)),
        ({"event": "started", "until": "2026-03-14T12:00:00.5Z"}, [0]),
    ],
)
async def test_filters(
    client: httpx.AsyncClient, frank: Customer, query: dict[str, str], numbers: Any
) -> None:
    wanted = [id_ for id_ in NEWEST_FIRST if int(id_, 16) in numbers]
    assert [each["id"] for each in (await read(client, frank, **query))["items"]] == wanted
    paged = await read(client, frank, limit=1, **query)
    assert [each["id"] for each in paged["items"]] == wanted[:1]


@pytest.mark.parametrize(
    "query",
    [
        {"event": "Connected!"},
        {"event": "a" * 41},
        {"since": "yesterday"},
        {"since": "2026-03-14T12:00:00"},
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "nonsense"},
        {"cursor": urlsafe_b64encode(b"2026-03-14 1").decode()},
        {"cursor": urlsafe_b64encode(b"0001-01-01T00:00:00.000000+23:59 1").decode()},
        {"cursor": urlsafe_b64encode(b"\xff").decode()},
        {"colour": "blue"},
    ],
)
async def test_malformed_queries(
    client: httpx.AsyncClient, frank: Customer, query: dict[str, str]
) -> None:
    reply = await client.get(f"{frank.base}/devices/{DEVICE}/timeline", params=query)
    assert reply.status_code == 400, reply.text
    assert list(reply.json()) == ["error"]
