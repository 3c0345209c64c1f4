"""The Iomote Core: what the App-processor talks to, and what talks to the cloud.

Each public method, and each of `network`, is one request of the serial protocol; a refused one
raises IomoteError.
So the Arduino-like API (`x400.app`) sits on it, and a server of serial frames can as well.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from x400 import messages, properties, quota
from x400.cloud import Cloud, tls_context
from x400.credentials import DeviceCredentials
from x400.delivery import Delivery
from x400.errors import ErrorCode, IomoteError
from x400.inbox import Inbox
from x400.journal import Watcher
from x400.messages import Draft, Event, Kind, Outcome, Stored
from x400.network_settings import NetworkSettings, kept_credentials
from x400.ota import Updates
from x400.ota_gear import Hooks
from x400.outbox import Outbox
from x400.session import HubSession
from x400.settings import GatewaySettings
from x400.status import LED_OF_STATUS, CloudLed, NetStatus, NetType
from x400.store import Store
from x400.twin import Json, Twin
from x400.wipe import Wipe

log = logging.getLogger(__name__)


class Core:
    """One life of the Iomote Core, from a reset to the next. Use it on one event loop only."""

    def __init__(
        self,
        settings: GatewaySettings,
        credentials: DeviceCredentials,
        store: Store,
        *,
        on_outcome: Callable[[Outcome], None],
        on_record: Watcher,
        on_change: Callable[[], None],
        on_reset: Callable[[str], None],
        on_read: Callable[[bytes], None],
        on_app_installed: Callable[[str], None],
        on_power_lost: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_outcome = on_outcome
        self._on_change = on_change
        self._on_reset = on_reset
        self._on_read = on_read
        limits = quota.limits(settings)
        self.outbox = Outbox(store, limits, settings.storage_bytes, clock, on_record)
        self.inbox = Inbox(store, on_change, self._fault, clock)
        self.twin = Twin(store, self._obey)
        hooks = Hooks(
            report=self.twin.report,
            desired=lambda: self.twin.desired,
            app_installed=on_app_installed,
            firmware_installed=on_reset,
            power_lost=on_power_lost,
            fault=self._fault,
        )
        self.updates = Updates(
            settings=settings,
            device_id=credentials.device_id,
            store=store,
            hooks=hooks,
            clock=clock,
        )
        self._wipe = Wipe(store, self.outbox, self.inbox, clock, self.updates.forget)
        self.app_running = True
        self._delivery = Delivery(self.outbox, settings.window, on_change, self._fault)
        self._session = HubSession(
            self._delivery,
            self.inbox,
            self.twin,
            own_properties=self._own_properties,
            wipe=self._wipe,
            reset=on_reset,
        )
        credentials = kept_credentials(store, credentials)
        self.cloud = Cloud(settings, credentials, self._session, self._status_changed)
        self.network = NetworkSettings(
            store, self.cloud, require_alive=self._require_alive, tell=self.tell
        )
        self._task: asyncio.Task[None] | None = None
        self._fault_timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._alive = False
        self._broken = False

    def start(self, event: Event, detail: str) -> None:
        """Begin to connect, and note why the Core started. Raises ValueError (a CA file)."""
        if not self._settings.plain:
            tls_context(self._settings.ca_file)
        tls_context(self._settings.ota_ca_file or self._settings.ca_file)
        self._alive = True
        self._began = self._clock()
        self.tell(event, detail)
        self._task = asyncio.create_task(self._run(), name=f"core {self.device_id}")

    async def stop(self, *, orderly: bool) -> None:
        """End this life; orderly lets what is in flight arrive and says DISCONNECT."""
        self._alive = False
        if self._fault_timer is not None:
            self._fault_timer.cancel()
        if orderly:
            await self.cloud.close()
            self._delivery.flush()
        self._session.end()
        await self.updates.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # What the App-processor asks

    def hello(self, name: str, version: tuple[int, int, int]) -> int:
        """`begin` and `rtcSync` (0100): the app's name and version; the Unix time in seconds."""
        self._require_alive()
        app = self.updates.installed.begun(properties.of_app(name, version))
        self.app_running = True
        self.twin.report_changed(app)
        self._on_change()
        return int(self._clock())

    def begin_installed(self) -> None:
        """As `hello`, of an app that was installed while no sketch runs. Raises IomoteError."""
        self.twin.report_changed(self.updates.installed.app())

    def send_message(
        self,
        body: bytes,
        content_type: str | None = None,
        content_encoding: str | None = None,
        user_route: str | None = None,
    ) -> Stored:
        """`sendMessage` (0206): durable on return."""
        draft = Draft(Kind.DATA, body)
        return self._send(
            draft, lambda: messages.data(body, content_type, content_encoding, user_route)
        )

    def send_notification(self, level: int, body: bytes) -> Stored:
        """`sendNotification` (05xx): durable on return."""
        draft = Draft(Kind.NOTIFICATION, body)
        return self._send(draft, lambda: messages.notification(level, body))

    def device_key(self) -> str:
        """`devKey` (0403)."""
        self._require_alive()
        return self._settings.key()

    def messages_pending(self) -> int:
        """`messagesPending` (0405): what the app sent and the cloud has not yet."""
        self._require_alive()
        return self.outbox.pending_of_app()

    def messages_left(self) -> int:
        """How many data messages today's quota still takes."""
        self._require_alive()
        return self.outbox.left(Kind.DATA)

    def net_status(self) -> tuple[NetStatus, NetType]:
        """`netStatus` (0406)."""
        status = NetStatus.HARDWARE_ERROR if self._broken else self.cloud.status
        return status, NetType.MODEM if self._settings.connectivity == "modem" else NetType.ETHERNET

    def user_message_read(self) -> bytes | None:
        """`userMessageRead` (0301): the oldest, then erased; None where there is none."""
        self._require_alive()
        body = self.inbox.read()
        if body is not None:
            self._on_read(body)
        self._on_change()
        return body

    def user_messages_clear(self) -> None:
        """`userMessageClearAll` (0300)."""
        self._require_alive()
        self.inbox.clear()
        self._on_change()

    def settings_read(self) -> str:
        """`settingsRead` (0600): the latest settings of the device twin, as JSON."""
        self._require_alive()
        return json.dumps(self.twin.settings, ensure_ascii=False)

    def properties_send(self, text: str | bytes) -> None:
        """`propertiesSend` (0601): a JSON object of reported properties, kept until sent."""
        self._require_alive()
        self.twin.report(properties.checked(text))

    # What the rest of the gateway sees

    @property
    def device_id(self) -> str:
        """The identity at the hub."""
        return self.cloud.credentials.device_id

    def app_name_and_version(self) -> str:
        """What the app last told at `begin`; "" before the first time."""
        app = self.updates.installed.app()
        return f"{app['app_name']} {app['app_version']}" if app else ""

    @property
    def fwversion(self) -> str:
        """The version of the firmware that runs."""
        return self.updates.installed.fwversion()

    def set_plugged(self, *, plugged: bool) -> None:
        """Pull the network cable, or put it back."""
        self.cloud.set_plugged(plugged)
        self.updates.set_online(online=plugged)

    @property
    def led(self) -> CloudLed:
        """The CLOUD LED."""
        if not self.app_running:
            return CloudLed.APP_RESTARTING
        return LED_OF_STATUS[self.net_status()[0]]

    def tell(self, event: Event, detail: str) -> None:
        """Put an event on the device's timeline, if the store takes it."""
        try:
            if not self.outbox.add_event(event, detail):
                log.warning("%s: too many events wait; dropped %s", self.device_id, event)
        except IomoteError as error:
            self._fault(error)
        self._delivery.pump()

    def wipe(self) -> None:
        """Forget every message both ways, durably; the quota stays. Raises IomoteError."""
        self._wipe.all()

    def _obey(self, desired: Json) -> None:
        """Wipe for a new owner, if the desired properties say so, then reset; or update."""
        why = self._wipe.obey(desired, self._began)
        if why:
            self._on_reset(why)
        elif self._alive:
            self.updates.obey(desired)

    def _own_properties(self) -> Json:
        own = properties.of_gateway(self._settings, self.fwversion)
        return own | self.updates.installed.app() | self.updates.reports()

    async def _run(self) -> None:
        try:
            await self.cloud.run()
        except IomoteError as error:
            self._fault(error)
        except Exception as error:
            log.exception("%s: the connection's task failed", self.device_id)
            self._fault(IomoteError(ErrorCode.IOMOTE_ERR_UNKNOWN, type(error).__name__))

    def _send(self, draft: Draft, check: Callable[[], Draft]) -> Stored:
        try:
            self._require_alive()
            draft = check()
            stored = self.outbox.add(draft)
        except IomoteError as error:
            self._on_outcome(Outcome(error.code, draft, None))
            if error.code is ErrorCode.IOMOTE_ERR_STORAGE_WR:
                self._fault(error)
            self._delivery.pump()
            raise
        self._on_outcome(Outcome(0, draft, stored))
        self._delivery.pump()
        return stored

    def _require_alive(self) -> None:
        if not self._alive:
            raise IomoteError(ErrorCode.IOMOTE_ERR_TIMEOUT, "the Iomote Core is restarting")

    def _status_changed(self, status: NetStatus) -> None:
        log.debug("%s: %s", self.device_id, status.name)
        self._on_change()

    def _fault(self, error: IomoteError) -> None:
        """Something that only a reset can mend, such as a store that takes no writes."""
        if self._broken or not self._alive:
            return
        self._broken = True
        log.error("%s: hardware fault: %s", self.device_id, error)
        self._on_change()
        self._fault_timer = asyncio.get_running_loop().call_later(
            self._settings.fault_reset, self._on_reset, "after a hardware fault"
        )
