"""How the Core reaches its network and its hub, as the app sets it: kept, and used from now on."""

import logging
from collections.abc import Callable
from dataclasses import asdict

from x400.cloud import Cloud
from x400.credentials import DeviceCredentials
from x400.errors import ErrorCode, IomoteError
from x400.messages import Event
from x400.network import ApnConfig, EthernetConfig
from x400.store import Store

log = logging.getLogger(__name__)

_CONNECTION_STRING = "connection_string"


def kept_credentials(store: Store, made_with: DeviceCredentials) -> DeviceCredentials:
    """Those of the app's connection string, where it gave one."""
    override = store.note(_CONNECTION_STRING)
    if not override:
        return made_with
    credentials = DeviceCredentials.parse(override)
    log.info("%s: as the app's connStr says", credentials.device_id)
    return credentials


class NetworkSettings:
    """Each method is one request of the serial protocol; a refused one raises IomoteError."""

    def __init__(
        self,
        store: Store,
        cloud: Cloud,
        *,
        require_alive: Callable[[], None],
        tell: Callable[[Event, str], None],
    ) -> None:
        self._store = store
        self._cloud = cloud
        self._require_alive = require_alive
        self._tell = tell

    def apply_net_config(self, config: EthernetConfig) -> None:
        """`applyNetConfig` (0400): the network comes up anew."""
        self._require_alive()
        config.check()
        self._store.set_note("ethernet", asdict(config))
        self._changed("ethernet: DHCP" if config.dhcp else f"ethernet: {config.ip}")

    def apn_set_params(self, config: ApnConfig) -> None:
        """`apnSetParams` (0401): the network comes up anew."""
        self._require_alive()
        self._store.set_note("apn", asdict(config))
        self._changed(f"modem: APN {config.server or '(automatic)'}")

    def set_connection_string(self, text: str) -> None:
        """`connStr` (0402): instead of the one that the gateway was made with."""
        self._require_alive()
        try:
            credentials = DeviceCredentials.parse(text)
        except ValueError as error:
            raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, str(error)) from None
        self._store.set_note(_CONNECTION_STRING, text)
        self._cloud.credentials = credentials
        self._cloud.restart("the app gave another connection string")

    def cloud_enable(self, on: bool) -> None:
        """`cloudEnabled` (0408): until the next reset, and not kept."""
        self._require_alive()
        self._cloud.set_enabled(on)

    def _changed(self, detail: str) -> None:
        self._tell(Event.NETWORK_CHANGED, detail)
        self._cloud.restart("the network settings changed")
