"""Service Bus alone, over plain AMQP, in a process to be killed: STATE_DIR PORT KEY."""

import asyncio
import sys
from pathlib import Path

from emulator.amqp.server import AmqpServer
from emulator.servicebus.service import ServiceBus
from emulator.servicebus.settings import QueueSettings
from emulator.store import Store


async def main(state_dir: Path, port: int, key: str) -> None:
    store = Store(state_dir / "azure.db")
    service = ServiceBus(store, key.encode())
    if service.broker.find("q") is None:
        service.broker.create("q", QueueSettings(requires_duplicate_detection=True), ())
    server = AmqpServer(store, [service])
    print(await server.listen("127.0.0.1", port), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
