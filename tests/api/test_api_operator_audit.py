"""`mymote-operator audit`."""

import uuid
from datetime import UTC, datetime

from services.api.resources import Resources
from shared.schemas.audit import PLATFORM, AuditRecord
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.operators_tool import run


async def test_the_operator_reads_the_platforms_log_and_an_accounts(
    stack: LocalStack, resources: Resources, alice: Customer
) -> None:
    for user_id, operation in ((PLATFORM, "pathRefused"), (alice.user_id, "tamperedBlob")):
        record = AuditRecord(
            id=uuid.uuid4().hex,
            user_id=user_id,
            at=datetime.now(UTC),
            actor_kind="stranger",
            actor_id="",
            actor_name="",
            operation=operation,
            targets={"left_out": "3"},
            device_ids=[],
            status=404,
            address="203.0.113.7",
            correlation_id="test",
        )
        await resources.audit.add(record)
    shown = await run(stack, "audit", "--limit", "1")
    assert shown.status == 0
    for words in ("pathRefused", "404", "stranger", "203.0.113.7", "left_out: 3"):
        assert words in shown.output
    accounts = await run(
        stack, "audit", "--user-id", alice.user_id, "--operation", "tamperedBlob", "--json"
    )
    assert [each["operation"] for each in accounts.value["items"]] == ["tamperedBlob"]
    assert accounts.value["next"] == ""
    wrong = await run(stack, "audit", "--device-id", "pump")
    assert (wrong.status, "X400_" in wrong.errors) == (1, True)
