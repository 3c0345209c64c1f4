"""Virtual gateways that keep a durable record: `python -m tests.ledger.fleet PLAN`.

A second process with the same plan goes on where a killed one stopped.
"""

import asyncio
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from tests.ledger.plan import Cut, FleetPlan, GatewayPlan, Send
from tests.ledger.records import FleetLog, Stored, Taken, Wiped, read_fleet
from x400.app import Iomote
from x400.errors import ErrorCode
from x400.gateway import Gateway, GatewayOffError
from x400.journal import Fate, Record
from x400.messages import Kind, Level
from x400.settings import GatewaySettings

UNLIMITED = 1_000_000  # so that ingest's own check of the quota is the one that counts
AGAIN_SECONDS = 0.05
MOST_ATTEMPTS = 1000
STOP_SECONDS = 8.0


class PlannedGateway:
    """One gateway that follows its plan."""

    def __init__(self, plan: GatewayPlan, fleet: FleetPlan, log: FleetLog, serial: int) -> None:
        self.plan = plan
        self._origin = fleet.origin
        self._last_after = fleet.last_after if len(plan.sends) > 1 else None
        self._log = log
        self._serial = serial
        self._gateway = Gateway(
            GatewaySettings(
                connection_string=SecretStr(plan.connection_string),
                state=fleet.state,
                port=fleet.mqtt_port if plan.plain else fleet.mqtts_port,
                plain=plan.plain,
                ca_file=fleet.ca_file,
                durability="normal",
                daily_messages=UNLIMITED,
                daily_notifications=UNLIMITED,
                connect_timeout=10,
                backoff_initial=0.2,
                backoff_maximum=2,
                network_delay=0.05,
                fault_reset=1,
            ),
            on_record=self._record,
            clock=lambda: time.time() + plan.clock_offset,
        )

    async def run(self) -> None:
        """Send and lose power as planned; return once everything is delivered."""
        await self._gateway.start()
        connecting = asyncio.create_task(self._come_and_go())
        early = len(self.plan.sends) - bool(self._last_after)
        steps: list[Send | Cut] = [*self.plan.sends[self._serial : early], *self.plan.cuts]
        for step in sorted(steps, key=lambda each: each.at):
            late = time.time() - self._origin - step.at
            await asyncio.sleep(max(0.0, -late))
            if isinstance(step, Send):
                await self._send(step)
            elif late <= step.seconds:  # not one that happened before a restart
                await self._gateway.kill()
                await asyncio.sleep(step.seconds)
                await self._gateway.start()
        await connecting
        await self._until_the_last_may_go()
        for send in self.plan.sends[self._serial :]:
            await self._send(send)
        while True:  # a reset in between makes the wait end early
            with suppress(TimeoutError, GatewayOffError):
                await self._gateway.until_delivered(5)
                return

    async def _until_the_last_may_go(self) -> None:
        while self._last_after:
            if self._last_after.exists():
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def stop(self) -> None:
        """Power off with an empty store: the last pairing's reboot leaves an event in it."""
        with suppress(TimeoutError):
            await self._gateway.until_delivered(STOP_SECONDS)
        await self._gateway.stop()

    async def _come_and_go(self) -> None:
        """Pull the network cable and put it back as planned."""
        for each in self.plan.offline:
            begin, end = self._origin + each.at, self._origin + each.at + each.seconds
            await asyncio.sleep(begin - time.time())
            if time.time() < end:
                self._gateway.unplug()
                await asyncio.sleep(end - time.time())
                self._gateway.plug()

    async def _send(self, send: Send) -> None:
        body = self._body(send)
        code = self._ask(send, body)
        for _ in range(MOST_ATTEMPTS):
            if code != ErrorCode.IOMOTE_ERR_TIMEOUT:
                break
            await asyncio.sleep(AGAIN_SECONDS)  # the Core is restarting
            code = self._ask(send, body)
        if code != 0:
            raise RuntimeError(f"{self.plan.device_id} refused a message: {code}")
        self._serial += 1

    def _ask(self, send: Send, body: bytes) -> int:
        try:
            app: Iomote = self._gateway.app
        except GatewayOffError:
            return ErrorCode.IOMOTE_ERR_TIMEOUT
        if send.kind == "data":
            return app.sendMessage(body, content_type="text/plain", user_route=self._route())
        return app.sendNotification(Level(1 + self._serial % 3), body)

    def _body(self, send: Send) -> bytes:
        text = f"{self.plan.device_id[5:17]} {self._serial} ".encode()
        if send.kind == "data":
            return text.ljust(send.size, b".")
        return text + (b"\xff" if send.kind == "garbage" else b"!")

    def _route(self) -> str | None:
        return None if self._serial % 2 else f"route-{self._serial % 5}"

    def _record(self, record: Record) -> None:
        mid, now = record.message.mid, time.time()
        match record.fate:
            case Fate.STORED:
                draft = record.message.draft
                digest = sha256(draft.body).hexdigest()
                self._log.write(Stored(self.plan.device_id, mid, draft.kind.value, digest, now))
            case Fate.ACKNOWLEDGED:
                self._log.write(Taken(self.plan.device_id, mid, now))
            case Fate.WIPED:
                self._log.write(Wiped(self.plan.device_id, mid, now))


async def run(plan: FleetPlan) -> None:
    """Follow a plan until SIGTERM; the record says when everything of it is delivered."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    sent = Counter(
        each.device_id
        for each in read_fleet(plan.record)
        if isinstance(each, Stored) and each.kind != Kind.MANAGEMENT
    )
    log = FleetLog(plan.record)
    gateways = [PlannedGateway(each, plan, log, sent[each.device_id]) for each in plan.gateways]
    working = asyncio.create_task(_work(gateways, log))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    working.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await working
    finally:
        await asyncio.gather(*(each.stop() for each in gateways))


async def _work(gateways: list[PlannedGateway], log: FleetLog) -> None:
    async with asyncio.TaskGroup() as tasks:
        for gateway in gateways:
            tasks.create_task(gateway.run())
    log.idle(time.time())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(FleetPlan.model_validate_json(Path(sys.argv[1]).read_text())))
