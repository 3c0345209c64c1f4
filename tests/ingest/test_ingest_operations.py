"""What those who run ingest see of it: health, metrics, logs."""

import json
import secrets
from datetime import UTC, datetime

import httpx
import pytest

from services.ingest.logic.pipeline import Pipeline
from shared.logs import CorrelationFilter
from tests.ingest.local_platform import Platform, eventually, receive
from tests.ingest.made_events import raw_event


async def test_ready_and_measured(platform: Platform) -> None:
    owner = await platform.owner()
    async with await platform.gateway(owner) as gateway:
        gateway.send(b"x")
        await receive(owner, 1)
    async with httpx.AsyncClient(base_url=platform.stack.endpoints.ingest_url) as client:
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
