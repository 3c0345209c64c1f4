# ruff: noqa: N802 - the names of the vendor's Arduino library, so that sketches read alike
"""The Arduino library `Iomote` in Python, for an app in the same process as its Core.

Calls return 0 or a negative IOMOTE_ERR_* (`x400.errors.ErrorCode`), as the library does;
what it gives back through pointers is returned here instead. `wait` and `pressed` are not in
the library.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, ParamSpec

from x400.board import BUTTON, OUTPUTS, Board
from x400.core import Core
from x400.errors import ErrorCode, IomoteError
from x400.messages import Level
from x400.network import ApnConfig, EthernetConfig

IOMOTE_NOTIFICATION, IOMOTE_WARNING, IOMOTE_ALARM = Level.INFO, Level.WARNING, Level.ALARM

P = ParamSpec("P")

log = logging.getLogger(__name__)


class NetStatusResult(NamedTuple):
    """What `netStatus` tells: 0 or an error, then status and type of the protocol."""

    code: int
    status: int
    type: int


class Iomote:
    """The object that a sketch talks to. Use it on the gateway's event loop only."""

    def __init__(self, core: Core, board: Board) -> None:
        self._core = core
        self._board = board
        self._app: tuple[str, tuple[int, int, int]] | None = None
        self._network = EthernetConfig()
        self.time = 0  # Unix seconds at the last `begin` or `rtcSync`

    def begin(self, appname: str, vers0: int, vers1: int, vers2: int) -> int:
        """Tell the Core the app's name and version; the first thing a sketch does."""
        self._app = (appname, (vers0, vers1, vers2))
        return self.rtcSync()

    def rtcSync(self) -> int:
        """Set the clock from the Core's."""
        if self._app is None:
            return ErrorCode.IOMOTE_ERR_DATA
        return self._ask(self._set_time, *self._app)

    def sendMessage(
        self,
        payload: str | bytes,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        user_route: str | None = None,
    ) -> int:
        """Store a data message of 1 to 3750 bytes for the cloud."""
        body = _bytes(payload)
        return self._ask(self._core.send_message, body, content_type, content_encoding, user_route)

    def sendNotification(self, level: int, payload: str | bytes) -> int:
        """Store a notification of 1 to 100 bytes for the cloud."""
        body = _bytes(payload)
        return self._ask(self._core.send_notification, level, body)

    def devKey(self) -> str:
        """The device key, 64 characters; "" where it is not known."""
        with suppress(IomoteError):
            return self._core.device_key()
        return ""

    def messagesPending(self) -> int:
        """How many messages wait for the cloud, or a negative error."""
        return self._number(self._core.messages_pending)

    def messagesLeft(self) -> int:
        """How many data messages today's quota still takes, or a negative error."""
        return self._number(self._core.messages_left)

    def netStatus(self) -> NetStatusResult:
        """Status and type of the network."""
        return NetStatusResult(0, *self._core.net_status())

    def netDHCP(self, dhcp_on: bool) -> None:
        """Prepare `applyNetConfig`: take the address from DHCP or not."""
        self._network = replace(self._network, dhcp=dhcp_on)

    def netIP(self, n0: int, n1: int, n2: int, n3: int) -> None:
        """Prepare `applyNetConfig`: the gateway's own address."""
        self._network = replace(self._network, ip=f"{n0}.{n1}.{n2}.{n3}")

    def netSubnet(self, n0: int, n1: int, n2: int, n3: int) -> None:
        """Prepare `applyNetConfig`: the subnet mask."""
        self._network = replace(self._network, subnet=f"{n0}.{n1}.{n2}.{n3}")

    def netGateway(self, n0: int, n1: int, n2: int, n3: int) -> None:
        """Prepare `applyNetConfig`: the router."""
        self._network = replace(self._network, gateway=f"{n0}.{n1}.{n2}.{n3}")

    def netDNS(self, n0: int, n1: int, n2: int, n3: int) -> None:
        """Prepare `applyNetConfig`: the name server."""
        self._network = replace(self._network, dns=f"{n0}.{n1}.{n2}.{n3}")

    def applyNetConfig(self) -> int:
        """Give the Core what the `net…` calls prepared."""
        return self._ask(self._core.network.apply_net_config, self._network)

    def apnSetParams(  # noqa: PLR0917 - the library's signature
        self, auth_mode: int, server: str, user: str, password: str, ip: str, dns1: str, dns2: str
    ) -> int:
        """Tell the modem how to reach its network; no field may hold a space."""
        text = " ".join((str(auth_mode), server, user, password, ip, dns1, dns2))
        return self._ask(lambda: self._core.network.apn_set_params(ApnConfig.from_text(text)))

    def connStr(self, text: str) -> int:
        """Use another connection string from now on."""
        return self._ask(self._core.network.set_connection_string, text)

    def cloudEnabled(self, on: bool) -> int:
        """Allow or forbid the connection to the cloud, until the next reset."""
        return self._ask(self._core.network.cloud_enable, on)

    def userMessageAvailable(self) -> bool:
        """Whether a user message waits (the line DATAREQ)."""
        return self._core.inbox.waiting() > 0

    def userMessageRead(self) -> bytes:
        """The oldest user message, which the Core then erases; b"" where there is none."""
        with suppress(IomoteError):
            return self._core.user_message_read() or b""
        return b""

    def userMessageClearAll(self) -> int:
        """Erase the user messages unread."""
        return self._ask(self._core.user_messages_clear)

    def settingsRead(self) -> str:
        """The latest settings of the device twin as JSON; "" while the Core restarts."""
        with suppress(IomoteError):
            return self._core.settings_read()
        return ""

    def propertiesSend(self, json: str) -> int:
        """Report a JSON object of properties to the device twin."""
        return self._ask(self._core.properties_send, json)

    def digitalRead(self, pin: int) -> int:
        """LOW or HIGH; the button is LOW while it is pressed."""
        return self._board.digital(pin)

    def digitalWrite(self, pin: int, value: int) -> None:
        """Set RELAY_OUT, OC_OUT or LED_USER; any other pin ignores it."""
        if pin in OUTPUTS:
            self._board.set_digital(pin, value)

    def analogRead(self, channel: int) -> float:
        """mA of AN_1, volts of AN_2."""
        return self._board.analog(channel)

    def pressed(self) -> bool:
        """Whether the front panel's button is down."""
        return self._board.digital(BUTTON) == 0

    async def wait(self, seconds: float) -> None:
        """Sleep until an input changes or a user message comes, `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._board.changed.wait()
        self._board.changed.clear()

    def _set_time(self, name: str, version: tuple[int, int, int]) -> None:
        self.time = self._core.hello(name, version)

    def _ask(self, request: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> int:
        try:
            request(*args, **kwargs)
        except IomoteError as error:
            log.debug("%s", error)
            return int(error.code)
        return 0

    def _number(self, request: Callable[[], int]) -> int:
        try:
            return request()
        except IomoteError as error:
            return int(error.code)


def _bytes(payload: str | bytes) -> bytes:
    # Bytes that were not UTF-8 come out as they went in: the cloud judges them, not the gateway.
    return payload.encode(errors="surrogateescape") if isinstance(payload, str) else payload
