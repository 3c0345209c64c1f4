"""Gateways that take long to answer hold up nothing but their own callers."""

import asyncio
from typing import Any

from shared.iothub import METHOD_SECONDS, THREADS
from tests.fleet.outboxes import Paired, Quiet


async def test_gateways_that_do_not_answer_hold_up_no_messages(
    quiet: Quiet, device: Paired
) -> None:
    hub, loop = quiet.resources.hub, asyncio.get_running_loop()
    asked: asyncio.Queue[str] = asyncio.Queue()

    def keep_silent(_client: Any, _data: Any, message: Any) -> None:
        loop.call_soon_threadsafe(asked.put_nowait, message.topic.rpartition("$rid=")[2])

    async with device.online() as gateway:
        gateway.client.on_message = keep_silent
        reboots = [
            asyncio.create_task(hub.invoke_method(device.device_id, "reboot", {}))
            for _ in range(THREADS)
        ]
        requests = [await asked.get() for _ in reboots]
        await hub.send_message(device.device_id, "1", "m", within=METHOD_SECONDS - 1)
        for request in requests:
            gateway.client.publish(f"$iothub/methods/res/200/?$rid={request}", b"{}")
        assert await asyncio.gather(*reboots) == [{}] * THREADS
