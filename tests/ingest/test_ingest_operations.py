"""What those who run ingest see of it: health, metrics, logs."""

import json
import secrets
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.ingest.logic.pipeline import Pipeline
from shared.database import ACCOUNTS
from shared.logs import CorrelationFilter
from tests.ingest.local_platform import Platform, body_of, eventually, receive
from tests.ingest.made_events import raw_event


async def test_ready_and_measured(platform: Platform) -> None:
    owner = await platform.owner()
    async with await platform.gateway(owner) as gateway:
        gateway.send(b"x")
        await receive(owner, 1)
    async with httpx.AsyncClient(
        base_url=platform.stack.endpoints.ingest_url, timeout=60
    ) as client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert ready.json()["checks"] == {"cosmos": "ok", "eventhub": "ok", "consumer": "ok"}

        async def counted() -> bool:  # once it is committed, soon after it was received here
            metrics = (await client.get("/metrics")).text
            return (
                'mymote_ingest_events_total{kind="data",outcome="accepted"}' in metrics
                and 'mymote_ingest_lag_seconds{partition="mymote/' in metrics
            )

        await eventually(counted)
    log = platform.stack.log_file("ingest").read_text()
    assert all(json.loads(line)["service"] == "ingest" for line in log.splitlines())
    assert "Traceback" not in log


async def test_a_message_is_found_in_the_log_by_its_id_on_the_queue(
    platform: Platform, pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    caplog.set_level("DEBUG", logger="services.ingest")
    caplog.handler.addFilter(CorrelationFilter())
    partition = pipeline.partition(f"traced-{secrets.token_hex(4)}/0")
    now = datetime.now(UTC)
    event = raw_event(0, b"x", device_id=gateway.device_id, mid="7", enqueued_at=now)
    await pipeline.process(partition, [event])
    (message,) = await receive(owner, 1)
    (record,) = [
        vars(each)
        for each in caplog.records
        if vars(each).get("correlation_id") == message.message_id
    ]
    assert (record["device_id"], record["mid"]) == (gateway.device_id, "7")
    assert record["user_id"] == owner.user_id


async def test_a_namespace_that_lets_nobody_in_is_seen(platform: Platform) -> None:
    """It is waited for, and everybody of the partition with it."""
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    namespaces = json.loads(platform.stack.service_environment["MYMOTE_SERVICEBUS_NAMESPACES"])
    namespaces["local"] = namespaces["local"].replace("SharedAccessKey=", "SharedAccessKey=no")
    await platform.restart(
        MYMOTE_SERVICEBUS_NAMESPACES=json.dumps(namespaces),
        MYMOTE_INGEST_STALLED_SECONDS="1",
        MYMOTE_INGEST_DRAIN_SECONDS="0.5",
    )
    async with gateway:
        gateway.send(b"x")
        await gateway.delivered()
    assert "stands still" in await platform.not_ready()
    await platform.restart()
    assert [body_of(each) for each in await receive(owner, 1)] == [b"x"]


async def test_a_mistake_of_our_own_is_seen_and_tried_again(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    accounts = platform.resources.azure.database.get_container_client(ACCOUNTS.name)
    record = await accounts.read_item(owner.user_id, owner.user_id)
    await accounts.upsert_item({**record, "queue": None})
    await platform.restart()  # nothing of it is known
    log = platform.stack.log_file("ingest")
    before = len(log.read_text().splitlines())
    async with gateway:
        gateway.send(b"x")
        await gateway.delivered()
    assert "fails (ValidationError) and is tried again" in await platform.not_ready()

    async def twice() -> list[datetime]:
        lines = [json.loads(line) for line in log.read_text().splitlines()[before:]]
        errors = [each for each in lines if each["message"].startswith("cannot take a batch")]
        times = [datetime.fromisoformat(each["time"]) for each in errors]
        return times if len(times) > 1 else []

    first, second, *_ = await eventually(twice)
    assert second - first >= timedelta(seconds=1), "it is tried all the time"
    await accounts.upsert_item(record)
    assert [body_of(each) for each in await receive(owner, 1)] == [b"x"]
    await platform.stack.wait_ready("ingest")
