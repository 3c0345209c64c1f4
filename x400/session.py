"""What a gateway does over a connection to IoT Hub while it lasts."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from paho.mqtt.client import MQTTMessage

from x400.delivery import Delivery
from x400.errors import IomoteError
from x400.inbox import Inbox
from x400.link import Link
from x400.methods import METHODS, MethodCall, RebootOrder, reboot_order
from x400.twin import DESIRED, RESPONSES, Twin
from x400.wipe import Wipe

DRAIN_SECONDS = 5.0  # for publishes in flight, before a connection is renewed or closed
WRONG_REBOOT = (
    b'{"error": "the payload of reboot is {}, {\\"wipe\\": true} or '
    b'{\\"wipe\\": <when the pairing began, ISO 8601>}"}'
)
ANSWER_SECONDS = 2.0  # for the answer to `reboot` to arrive, before the reset

log = logging.getLogger(__name__)


class HubSession:
    """Sorts what the hub sends, and sends what the store holds. Implements `cloud.Session`."""

    def __init__(
        self,
        delivery: Delivery,
        inbox: Inbox,
        twin: Twin,
        *,
        own_properties: Callable[[], Mapping[str, object]],
        wipe: Wipe,
        reset: Callable[[str], None],
    ) -> None:
        self._delivery = delivery
        self._inbox = inbox
        self._twin = twin
        self._own_properties = own_properties
        self._wipe = wipe
        self._reset = reset
        self._over = False

    def topics(self, device_id: str) -> list[str]:
        """What a gateway subscribes to (azure-wire-facts.md)."""
        devicebound = f"devices/{device_id}/messages/devicebound/#"
        return [devicebound, f"{RESPONSES}#", f"{DESIRED}#", f"{METHODS}#"]

    def receive(self, link: Link, message: MQTTMessage) -> None:
        """A message of the hub; it may come before `run`, from the persistent session."""
        if self._over or link.closed.done():
            return
        if message.topic.startswith("$iothub/"):
            link.acknowledge(message)
            try:
                if message.topic.startswith(METHODS):
                    self._call(link, MethodCall.parse(message))
                else:
                    self._twin.receive(message)
            except IomoteError:
                log.exception("the store failed on %s", message.topic)
        else:
            self._inbox.receive(link, message)

    async def run(self, link: Link, on_ready: Callable[[], None]) -> None:
        """Deliver once the twin is known, and keep it in step until the link closes.

        Not before: the twin may order to wipe what is stored. A former owner's message whose
        `$.ctime` came from a clock that was wrong is nothing that ingest could tell.
        """

        def deliver() -> None:
            if not self._over and not link.closed.done():
                self._delivery.attach(link)
                on_ready()

        await self._twin.run(link, self._own_properties, deliver)

    async def drain(self) -> None:
        """Publish nothing new; wait for PUBACKs, 5 seconds at most."""
        self._delivery.detach()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._delivery.idle.wait()

    def dropped(self) -> None:
        """The connection is gone: what it had not acknowledged goes over the next."""
        self._delivery.drop()
        self._inbox.drop_connection()

    def progress(self) -> int:
        """How many messages the hub took."""
        return self._delivery.delivered

    def end(self) -> None:
        """The Core's life is over: take nothing more."""
        self._over = True
        self.dropped()

    def _call(self, link: Link, call: MethodCall) -> None:
        """Answer a direct method; `reboot` resets once its answer has arrived."""
        if call.name != "reboot":
            link.publish(call.answer(404), b'{"error": "the gateway has no such method"}')
            return
        order = reboot_order(call.payload)
        if order is None:
            link.publish(call.answer(400), WRONG_REBOOT)
            return
        try:
            wiped = self._carry_out(order)
        except IomoteError:
            log.exception("cannot wipe the store")
            link.publish(call.answer(500), b'{"error": "the store cannot be wiped"}')
            return
        why = (
            "by a direct method" if wiped is None else f"by a direct method, {wiped} messages wiped"
        )

        def reset() -> None:
            if not self._over:
                self._reset(why)

        link.publish(call.answer(200), b'{"rebooting": true}', reset)
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, reset)

    def _carry_out(self, order: RebootOrder) -> int | None:
        """How many messages were wiped; None where it was not asked, or done before."""
        if isinstance(order.wipe, datetime):
            return self._wipe.order(order.wipe)
        return self._wipe.all() if order.wipe else None
