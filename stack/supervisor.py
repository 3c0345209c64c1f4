"""Watches the running stack: what ends by itself is started again, but not for ever."""

import asyncio
from collections import deque
from collections.abc import Callable

from stack.local import LocalStack, StackError

RESTARTS = 5  # of one process
WITHIN_SECONDS = 60.0
PAUSE_SECONDS = 1.0


async def supervise(stack: LocalStack, say: Callable[[str], None]) -> None:
    """Run until cancelled. Raises StackError when a process keeps ending."""
    try:
        async with asyncio.TaskGroup() as group:
            for name in stack.processes:
                group.create_task(_keep_running(stack, name, say))
    except* StackError as errors:
        raise errors.exceptions[0] from None


async def _keep_running(stack: LocalStack, name: str, say: Callable[[str], None]) -> None:
    times: deque[float] = deque()
    clock = asyncio.get_running_loop().time
    while True:
        code = await stack.processes[name].exited()
        times.append(clock())
        while times and times[0] < clock() - WITHIN_SECONDS:
            times.popleft()
        if len(times) > RESTARTS:
            raise StackError(f"{name} ended {len(times)} times in a minute. {stack.explain(name)}")
        say(f"{name} ended with code {code}; starting it again")
        await asyncio.sleep(PAUSE_SECONDS)
        await stack.restart(name)
