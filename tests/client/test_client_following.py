"""`mymote notifications --follow`, as long as somebody watches."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import new_customer
from tests.client.command_line import of
from tests.rest.records import START, put_notifications


async def test_each_is_shown_once_also_what_comes_late_until_ctrl_c(
    stack: LocalStack, resources: Resources, tmp_path: Path
) -> None:
    customer = await new_customer(resources)
    before = await put_notifications(resources, customer.user_id, 3)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mymote", "notifications", "--follow", "--limit", "2", "--json"),
        env={**os.environ, **of(stack, customer, tmp_path).environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None

    async def shown() -> str:
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), 60)
        identity: str = json.loads(line)["id"]
        return identity

    assert [await shown(), await shown()] == [each.id for each in before[1:]]
    late = START + timedelta(seconds=1, milliseconds=500)
    after = await put_notifications(resources, customer.user_id, 1, enqueued_at=late)
    assert await shown() == after[0].id
    newer = START + timedelta(seconds=10)
    after = await put_notifications(resources, customer.user_id, 1, enqueued_at=newer)
    assert await shown() == after[0].id
    child.send_signal(signal.SIGINT)
    rest, errors = await asyncio.wait_for(child.communicate(), 60)
    assert (child.returncode, rest, errors) == (130, b"", b"")
