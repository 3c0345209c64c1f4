"""Who a client is: a device by its CONNECT packet, a service by its token."""

import base64
from dataclasses import dataclass

from emulator.iothub.events import Sender
from emulator.iothub.identity import Identity
from emulator.iothub.mqtt_packets import PROTOCOL_LEVEL, PROTOCOL_NAME, Connect
from emulator.iothub.registry import Registry
from emulator.sas import SasError, SasToken, normalise

POLICY = "iothubowner"

# CONNACK return codes, MQTT 3.1.1 §3.2.2.3.
ACCEPTED = 0
BAD_PROTOCOL = 1
BAD_CLIENT_ID = 2
BAD_USERNAME_OR_PASSWORD = 4
NOT_AUTHORIZED = 5

_AUTH_METHOD = '{"scope":"%s","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}'


class Refused(Exception):
    """CONNECT is answered with this return code, and the connection closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Authenticated:
    """A device that proved who it is, until `expiry` (Unix seconds)."""

    sender: Sender
    expiry: int


class Authentication:
    """Verifies shared access signatures of the hub's policy and of its devices."""

    def __init__(self, hostname: str, key: bytes, registry: Registry) -> None:
        self._hostname = normalise(hostname)
        self._key = key
        self._registry = registry

    def service(self, token: SasToken, path: str) -> None:
        """Check that a service may use `path`. Raises SasError."""
        if token.key_name != POLICY:
            raise SasError(f"the hub has no policy of that name; use {POLICY}")
        token.verify(self._key, f"{self._hostname}/{path.lstrip('/')}")

    def device(self, connect: Connect) -> Authenticated:
        """Check a CONNECT packet. Raises Refused."""
        if connect.protocol_name != PROTOCOL_NAME or connect.protocol_level != PROTOCOL_LEVEL:
            raise Refused(BAD_PROTOCOL, "not MQTT 3.1.1")
        device_id = self._named_device(connect.username)
        if connect.client_id != device_id:
            raise Refused(BAD_CLIENT_ID, "the client id is not the user name's device")
        identity = self._registry.find(device_id)
        if identity is None:
            raise Refused(NOT_AUTHORIZED, "the device is not registered")
        if not identity.enabled:
            raise Refused(NOT_AUTHORIZED, "the device is disabled")
        try:
            token = SasToken.parse((connect.password or b"").decode())
            scope = self._verify(token, identity)
        except (SasError, UnicodeDecodeError) as refused:
            raise Refused(NOT_AUTHORIZED, str(refused)) from None
        sender = Sender(device_id, identity.generation_id, _AUTH_METHOD % scope)
        return Authenticated(sender, token.expiry)

    def _named_device(self, username: str | None) -> str:
        """`{hub}/{device}/?api-version=…`; other parameters may follow."""
        hub, _, rest = (username or "").partition("/")
        device_id, _, query = rest.partition("/")
        if not device_id or normalise(hub) != self._hostname:
            raise Refused(BAD_USERNAME_OR_PASSWORD, "the user name is not {hub}/{device}/?…")
        if query and not query.startswith("?"):
            raise Refused(BAD_USERNAME_OR_PASSWORD, "modules are not emulated")
        return device_id

    def _verify(self, token: SasToken, identity: Identity) -> str:
        """The scope of the key that signed the token: "hub" or "device"."""
        own = f"{self._hostname}/devices/{identity.device_id}"
        if token.key_name:
            if token.key_name != POLICY:
                raise SasError("the hub has no policy of that name")
            token.verify(self._key, own)
            return "hub"
        # A device's key opens the device's own resource only, or a part of it.
        if token.resource != normalise(own) and not token.resource.startswith(normalise(own) + "/"):
            raise SasError("the token was made for another resource")
        try:
            token.verify(base64.b64decode(identity.primary_key), token.resource)
        except SasError:
            token.verify(base64.b64decode(identity.secondary_key), token.resource)
        return "device"
