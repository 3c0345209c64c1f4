"""What strangers try is on the audit log, and does not fill it."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from services.ota.logic.refusals import Concerned, Refused
from services.ota.resources import Resources
from services.ota.store.audit import Audit
from shared.rate_limit import RateLimit
from shared.schemas.audit import PLATFORM
from stack.local import LocalStack
from tests.ota.served_files import records


async def test_paths_that_lead_elsewhere_are_refused_everywhere(
    stack: LocalStack, ota: Resources
) -> None:
    began = time.time()
    paths = (
        "/download/../../etc/passwd",
        "/download/apps/x/../u1/v1.bin",
        "/download/%2e%2e/%2E%2E/etc/passwd",
        "/download/..%5c..%5cboot.ini",
        "/download/%252e%252e%252fetc",
        "/devices/../jobs/../file",
        "/devices/..%2f..%2fetc/jobs/1/file",
        "/internal/accounts/../apps",
        "/download/apps/a%00.bin",
    )
    for path in paths:
        status, body = await _raw(stack, path)
        assert (status, "'..'" in json.loads(body)["error"]) == (404, True)
    found = await records(ota, PLATFORM, "pathRefused", began)
    assert [(each.actor_kind, each.status) for each in found] == [("stranger", 404)] * len(paths)
    # A path may hold secrets, so that none is written down.
    assert {json.dumps(each.targets) for each in found} == {"{}"}


@pytest.fixture
def _within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands: with each of its minutes there is room for more."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)


@pytest.mark.usefixtures("_within_a_minute")
async def test_strangers_fill_the_audit_log_slowly_and_what_is_left_out_is_counted(
    ota: Resources,
) -> None:
    began = time.time()
    refusals = replace(ota.refusals, limit=RateLimit(2))
    for _ in range(7):
        await refusals.note(Refused(404, "no", Concerned("test-flood")), "203.0.113.7")
    assert len(await records(ota, PLATFORM, "test-flood", began)) == 2
    refusals.limit = RateLimit(1000)  # as if a minute had passed
    await refusals.note(Refused(404, "no", Concerned("test-flood")), "203.0.113.7")
    last = (await records(ota, PLATFORM, "test-flood", began))[-1]
    assert (last.targets, last.address) == ({"left_out": "5"}, "203.0.113.7")


async def test_what_could_not_be_written_is_counted(ota: Resources) -> None:
    began = time.time()
    nowhere = Audit(ota.azure.database.get_container_client("no-such-container"))
    refusals = replace(ota.refusals, audit=nowhere)
    refused = Refused(404, "no", Concerned("test-lost"))
    await refusals.note(refused, "203.0.113.7")
    refusals.audit = ota.refusals.audit
    await refusals.note(refused, "203.0.113.7")
    (record,) = await records(ota, PLATFORM, "test-lost", began)
    assert record.targets == {"left_out": "1"}


@pytest.mark.usefixtures("_within_a_minute")
async def test_what_strangers_fill_the_log_with_hides_nothing_else(ota: Resources) -> None:
    began = time.time()
    refusals = replace(ota.refusals, limit=RateLimit(1))
    flood, other = Concerned("test-flood-2"), Concerned("test-other")
    for who in (flood, flood, replace(flood, proven=True), flood, other):
        await refusals.note(Refused(404, "no", who), "203.0.113.7")
    found = await records(ota, PLATFORM, "test-flood-2", began)
    assert [each.actor_kind for each in found] == ["stranger", "device"]
    assert len(await records(ota, PLATFORM, "test-other", began)) == 1


async def _raw(stack: LocalStack, path: str) -> tuple[int, bytes]:
    """Clients tidy up such paths; this one does not."""
    reader, writer = await asyncio.open_connection(stack.settings.bind, stack.settings.ota_port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(30):
        reply = await reader.read()
    writer.close()
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
