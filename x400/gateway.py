"""A whole X400: power, the Iomote Core, the App-processor with its sketch, pins and cable."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from x400.app import Iomote
from x400.board import DATAREQ, Board
from x400.core import Core
from x400.journal import Record, Watcher, write_to
from x400.messages import Event, Outcome
from x400.settings import GatewaySettings
from x400.status import NetStatus
from x400.store import Store, StoreInUseError

Sketch = Callable[[Iomote], Awaitable[None]]

SKETCH_RESTART_SECONDS = 10.0
MESSAGES_SHOWN = 20  # user messages that the app has read, for whoever looks on

log = logging.getLogger(__name__)


class GatewayOffError(Exception):
    """The Core was asked for while there is none."""


class Gateway:
    """Start it, use `app` as a sketch would, wait with `until_delivered`, stop or kill it.

    A second Gateway with the same settings goes on with the first one's store, once that one
    was stopped or killed. `on_outcome` is called for each message of the app, before the app
    gets its answer: what it tells as stored is durable. `on_record` is called when a message,
    the gateway's own events included, was stored, acknowledged by the hub or wiped.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        sketch: Sketch | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
        on_record: Watcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.credentials = settings.credentials()  # raises ValueError
        self.board = Board()
        self._sketch = sketch
        self._clock = clock
        self._watchers = [on_outcome] if on_outcome else []
        self._recorders = [on_record] if on_record else []
        if settings.acknowledgement_log is not None:
            write = write_to(settings.acknowledgement_log, self.credentials.device_id)
            self._recorders.append(write)
        self._plugged = True
        self._store: Store | None = None
        self._core: Core | None = None
        self._app: Iomote | None = None
        self._sketch_task: asyncio.Task[None] | None = None
        self._reset_task: asyncio.Task[None] | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.resets = 0
        self.messages_read: deque[bytes] = deque(maxlen=MESSAGES_SHOWN)

    async def start(self) -> None:
        """Power on. Raises StoreInUseError, ValueError, OSError (the CA file)."""
        try:
            self._power_on(Event.STARTED, "power on")
        except BaseException:
            await self._power_off(orderly=False)
            raise

    async def stop(self) -> None:
        """Power off in an orderly way: what is in flight arrives first."""
        await self._power_off(orderly=True)

    async def kill(self) -> None:
        """Power off as a cut cable does: nothing is finished, nothing is said to the hub."""
        await self._power_off(orderly=False)

    @property
    def core(self) -> Core:
        """The Iomote Core of this life; a reset makes a new one."""
        if self._core is None:
            raise GatewayOffError("the gateway is off, or in the middle of a reset")
        return self._core

    @property
    def app(self) -> Iomote:
        """The library's object, as the sketch has it; a reset makes a new one."""
        if self._app is None:
            raise GatewayOffError("the gateway is off, or in the middle of a reset")
        return self._app

    def press(self) -> None:
        """Push the front panel's button."""
        self.board.press()

    def unplug(self) -> None:
        """Pull the network cable."""
        self._set_plugged(plugged=False)

    def plug(self) -> None:
        """Put the network cable back."""
        self._set_plugged(plugged=True)

    def reset(self, why: str) -> None:
        """Reset the gateway: the connection drops, Core and app start again."""
        self._start_again(Event.REBOOTED, why)

    async def until_delivered(self, seconds: float = 30) -> None:
        """Wait until the cloud has everything stored. Raises TimeoutError."""
        await self._until(self._all_delivered, seconds)

    async def until_connected(self, seconds: float = 30) -> None:
        """Wait for the CLOUD LED to be green. Raises TimeoutError."""
        await self._until(lambda: self._status() is NetStatus.CLOUD_CONNECTED, seconds)

    async def until_user_message(self, seconds: float = 30) -> None:
        """Wait until a user message can be read. Raises TimeoutError."""
        await self._until(lambda: self._core is not None and self.core.inbox.waiting() > 0, seconds)

    def watch(self, watcher: Callable[[Outcome], None]) -> Callable[[], None]:
        """Call `watcher` for each message of the app, too; returns how to end that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _set_plugged(self, *, plugged: bool) -> None:
        self._plugged = plugged
        if self._core is not None:
            self._core.set_plugged(plugged=plugged)

    def _power_on(self, event: Event, detail: str) -> None:
        path = self.settings.state / f"{self.credentials.device_id}.db"
        self._store = Store(path, self.settings.durability)
        self._core = Core(
            self.settings,
            self.credentials,
            self._store,
            on_outcome=self._outcome,
            on_record=self._record,
            on_change=self._core_changed,
            on_reset=self.reset,
            on_read=self.messages_read.append,
            on_app_installed=self._restart_app,
            on_power_lost=self._lose_power,
            clock=self._clock,
        )
        self._core.set_plugged(plugged=self._plugged)
        self._app = Iomote(self._core, self.board)
        self._core.app_running = self._sketch is None
        self._core.start(event, detail)
        if self._sketch is not None:
            self._sketch_task = asyncio.create_task(self._run_sketch(self._sketch))
        self._core_changed()

    def _restart_app(self, why: str) -> None:
        """Another program was put into the App-processor: it begins anew."""
        self.board.reset()
        self.core.tell(Event.APP_RESTARTED, why)
        if self._sketch is None or self._sketch_task is None:
            self.core.begin_installed()
            return
        self.core.app_running = False
        self._sketch_task.cancel()
        anew = self._run_sketch(self._sketch, self._sketch_task)
        self._sketch_task = asyncio.create_task(anew)

    async def _power_off(self, *, orderly: bool) -> None:
        if self._reset_task is not None and self._reset_task is not asyncio.current_task():
            self._reset_task.cancel()
            await asyncio.wait({self._reset_task})
        sketch, self._sketch_task = self._sketch_task, None  # an update starts none any more
        if sketch is not None:
            sketch.cancel()
            await asyncio.wait({sketch})
        if self._core is not None:
            await self._core.stop(orderly=orderly)
        if self._store is not None:
            self._store.close()
        self._store = self._core = self._app = None
        self.board.reset()

    def _lose_power(self) -> None:
        self._start_again(Event.STARTED, "the power came back", self.settings.power_loss)

    def _start_again(self, event: Event, why: str, dark: float = 0) -> None:
        if self._reset_task is None or self._reset_task.done():
            self._reset_task = asyncio.create_task(self._reset(event, why, dark))

    async def _reset(self, event: Event, why: str, dark: float) -> None:
        log.info("%s: reset %s", self.credentials.device_id, why)
        await self._power_off(orderly=False)
        await asyncio.sleep(dark)
        self.resets += 1
        while True:
            try:
                self._power_on(event, why)
                return
            except (StoreInUseError, OSError, ValueError):
                log.exception("%s: cannot start again", self.credentials.device_id)
                await self._power_off(orderly=False)
                await asyncio.sleep(self.settings.fault_reset)

    async def _run_sketch(self, sketch: Sketch, former: asyncio.Task[None] | None = None) -> None:
        """Run the sketch; one that ends or fails is started again, as a watchdog would."""
        if former is not None:
            await asyncio.wait({former})
        while True:
            try:
                await sketch(self.app)
                why = "the app ended"
            except Exception as error:
                log.exception("%s: the app failed", self.credentials.device_id)
                why = f"the app failed: {type(error).__name__}"
            self.core.app_running = False
            await asyncio.sleep(SKETCH_RESTART_SECONDS)
            self.core.tell(Event.APP_RESTARTED, why)

    def _outcome(self, outcome: Outcome) -> None:
        for watcher in list(self._watchers):
            watcher(outcome)

    def _record(self, record: Record) -> None:
        for recorder in self._recorders:
            recorder(record)

    def _all_delivered(self) -> bool:
        return self._core is not None and not self._core.outbox.pending()

    def _status(self) -> NetStatus | None:
        return None if self._core is None else self._core.net_status()[0]

    def _core_changed(self) -> None:
        if self._core is not None:
            self.board.set_digital(DATAREQ, self._core.inbox.waiting() > 0)
        for reached, waiter in self._waiters:
            if not waiter.done() and reached():
                waiter.set_result(None)

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        if reached():
            return
        waiting = (reached, asyncio.get_running_loop().create_future())
        self._waiters.append(waiting)
        try:
            async with asyncio.timeout(seconds):
                await waiting[1]
        finally:
            self._waiters.remove(waiting)
