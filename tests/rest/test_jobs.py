"""Jobs over the REST API: listed, read and cancelled."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.api.resources import Resources
from services.api.store.jobs import Filter
from shared.schemas.jobs import Job, JobKind, JobState, JobStep, Slot, slot_id
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error
from tests.load.devices import last_charge
from tests.rest.records import DEVICE_A, DEVICE_B

START = datetime(2026, 3, 14, 12, tzinfo=UTC)


async def put_job(resources: Resources, user_id: str, minute: int = 0, **changes: Any) -> Job:
    job = _job(user_id, minute, **changes)
    await resources.jobs.container.create_item(job.model_dump(mode="json"))
    return job


def _job(user_id: str, minute: int, **changes: Any) -> Job:
    at = START + timedelta(minutes=minute)
    return Job(
        id=str(uuid.uuid4()),
        user_id=user_id,
        kind=JobKind.APP,
        device_id=DEVICE_A,
        paired_at=START,
        app_id="a1",
        artifact_id="v1",
        name="Pump control",
        version="1.4.0",
        size=1000,
        md5="",
        sha256="",
        filepath="",
        blob_etag="",
        ordered_by="first",
        created_at=at,
        state_at=at,
        steps=[JobStep(state=JobState.QUEUED, at=at, reason="It is offline.")],
    ).model_copy(update=changes)


def alike() -> str:
    """An id that begins as others do."""
    return f"5eedb0a7{str(uuid.uuid4())[8:]}"


@pytest.fixture(scope="module")
async def fleet(resources: Resources) -> tuple[Customer, list[Job]]:
    """An account with five jobs, oldest first; a device's slot lies among them."""
    customer = await new_customer(resources)
    changes: list[dict[str, Any]] = [
        {"state": JobState.SUCCEEDED, "finished_at": START},
        {"kind": JobKind.FIRMWARE, "app_id": "", "artifact_id": "f1"},
        {"device_id": DEVICE_B, "state": JobState.TIMED_OUT},
        {
            "id": alike(),
            "state": JobState.DOWNLOADING,
            "percent": 50,
            "answer_by": START + timedelta(minutes=5),
            "expires_at": START + timedelta(days=7),
        },
        {"id": alike(), "device_id": DEVICE_B, "state": JobState.QUEUED},
    ]
    made = [
        await put_job(resources, customer.user_id, minute, **change)
        for minute, change in enumerate(changes)
    ]
    slot = Slot(
        id=slot_id(DEVICE_A, JobKind.APP), user_id=customer.user_id, job_id=made[3].id
    ).model_dump(mode="json")
    await resources.jobs.container.create_item(slot)
    return customer, made


async def test_a_job_as_it_is_shown(
    client: httpx.AsyncClient, fleet: tuple[Customer, list[Job]]
) -> None:
    customer, jobs = fleet
    app, firmware = [
        (await client.get(f"{customer.base}/jobs/{job.id}")).json() for job in (jobs[3], jobs[1])
    ]
    assert app == {
        "id": jobs[3].id,
        "kind": "app",
        "device_id": DEVICE_A,
        "app_id": "a1",
        "app_version_id": "v1",
        "firmware_id": "",
        "name": "Pump control",
        "version": "1.4.0",
        "size": 1000,
        "state": "downloading",
        "percent": 50,
        "reason": "",
        "attempt": 1,
        "ordered_by": "first",
        "created_at": "2026-03-14T12:03:00Z",
        "state_at": "2026-03-14T12:03:00Z",
        "retry_at": None,
        "answer_by": "2026-03-14T12:05:00Z",
        "expires_at": "2026-03-21T12:00:00Z",
        "finished_at": None,
        "steps": [
            {
                "state": "queued",
                "at": "2026-03-14T12:03:00Z",
                "reason": "It is offline.",
                "percent": 0,
                "attempt": 1,
            }
        ],
    }
    shown = (firmware["app_id"], firmware["app_version_id"], firmware["firmware_id"])
    assert shown == ("", "", "f1")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("state=open", [4, 3, 1]),
        ("state=queued", [4, 1]),
        ("state=failed", []),
        (f"device_id={DEVICE_A}", [3, 1, 0]),
        (f"device_id={DEVICE_B}&state=timed_out", [2]),
        (f"device_id={DEVICE_A}&state=open&kind=app", [3]),
        ("kind=firmware", [1]),
        ("id=5eedb0a7", [4, 3]),
        ("id=5eedb0a7&state=queued", [4]),
        ("id=5eedb0a8", []),
    ],
)
async def test_jobs_are_listed_newest_first(
    client: httpx.AsyncClient, fleet: tuple[Customer, list[Job]], query: str, found: list[int]
) -> None:
    customer, jobs = fleet
    listed, cursor = [], ""
    while True:
        url = f"{customer.base}/jobs?limit=2&cursor={cursor}&{query}"
        page = (await client.get(url)).json()
        assert len(page["items"]) <= 2
        listed += [each["id"] for each in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert listed == [jobs[index].id for index in found]


@pytest.mark.parametrize(
    "query",
    [
        "device_id=x",
        "state=none",
        "kind=none",
        "limit=0",
        "cursor=AAAA",
        "name=x",
        "id=5eedb",
        "id=5EEDB0A7",
    ],
)
async def test_wrong_filters(client: httpx.AsyncClient, alice: Customer, query: str) -> None:
    assert_error(await client.get(f"{alice.base}/jobs?{query}"), 400)


async def test_jobs_that_are_not_there(
    client: httpx.AsyncClient, alice: Customer, fleet: tuple[Customer, list[Job]]
) -> None:
    other, jobs = fleet
    slot = slot_id(DEVICE_A, JobKind.APP)
    for method in ("GET", "DELETE"):
        for job_id, status in ((jobs[0].id, 404), (str(uuid.uuid4()), 404), (slot, 400)):
            url = f"{alice.base}/jobs/{job_id}"
            assert_error(await client.request(method, url), status)
    # There is no OTA service here.
    assert_error(await client.delete(f"{other.base}/jobs/{jobs[0].id}"), 501)


async def test_a_page_of_open_jobs_costs_what_it_holds(resources: Resources) -> None:
    """However many have had their end since; a page is charged for what it loads."""
    customer = await new_customer(resources)
    for minute in range(3):
        await put_job(resources, customer.user_id, minute)
    alone = await _charge_of_open_jobs(resources, customer.user_id)
    ended = [
        _job(customer.user_id, minute, state=JobState.SUCCEEDED).model_dump(mode="json")
        for minute in range(10, 410)
    ]
    for start in range(0, len(ended), 100):
        operations = [("create", (each,)) for each in ended[start : start + 100]]
        await resources.jobs.container.execute_item_batch(operations, customer.user_id)
    assert await _charge_of_open_jobs(resources, customer.user_id) == alone
    page = await resources.jobs.page(customer.user_id, Filter(), 3)
    assert {each.state for each in page.jobs} == {JobState.SUCCEEDED}


async def _charge_of_open_jobs(resources: Resources, user_id: str) -> float:
    page = await resources.jobs.page(user_id, Filter(open=True), 3)
    assert len(page.jobs) == 3
    return last_charge(resources.jobs.container)
