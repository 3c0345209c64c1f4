"""A broker without any protocol, on a clock that the tests turn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.servicebus.broker import Broker
from emulator.servicebus.queue import NewMessage, Queue
from emulator.servicebus.scheduler import Scheduler
from emulator.servicebus.settings import QueueSettings
from emulator.store import Store

START = 1_800_000_000_000
LOCK = QueueSettings().lock_duration


class Clock:
    """Milliseconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def amend(payload: bytes, properties: Mapping[str, Any]) -> bytes:
    """Properties in readable form, in place of an encoded message's."""
    return payload + "".join(f"|{key}={value}" for key, value in properties.items()).encode()


class World:
    """A broker that can be killed."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self._path = path
        self.start()

    def start(self) -> None:
        self.store = Store(self._path)
        self.broker = Broker(self.store, amend, Scheduler(self.clock))

    def kill(self) -> None:
        """What is not committed is gone, as after SIGKILL."""
        self.broker.close()
        self.store._db.close()
        self.store._open = False
        self.store._waiting.clear()
        self.start()

    def create(self, **settings: Any) -> Queue:
        queue = self.broker.create("q", QueueSettings(**settings), ())
        self.store.commit()
        return queue

    def send(self, queue: Queue, *bodies: str, **fields: Any) -> list[int]:
        numbers = queue.send([NewMessage(body.encode(), **fields) for body in bodies])
        self.store.commit()
        return numbers

    def wait(self, milliseconds: int) -> None:
        self.clock.now += milliseconds
        self.broker.scheduler.run_due()
        self.store.commit()
