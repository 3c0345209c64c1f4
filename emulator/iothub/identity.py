"""A device's identity: its fields, its keys, and its JSON form."""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.iothub import clock
from emulator.iothub.errors import HubError, invalid, not_emulated

ENABLED = "enabled"
DISABLED = "disabled"

_DEVICE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_KEY_BYTES = range(16, 65)
_MAX_STATUS_REASON = 128


@dataclass(frozen=True)
class Identity:
    """One row of the registry. Times are Unix seconds, 0 where it never happened."""

    device_id: str
    generation_id: str
    etag: str
    status: str
    status_reason: str | None
    status_updated: float
    connected: int
    connection_updated: float
    last_activity: float
    primary_key: str  # base64
    secondary_key: str

    @property
    def enabled(self) -> bool:
        return self.status == ENABLED

    @property
    def connection_state(self) -> str:
        return "Connected" if self.connected else "Disconnected"


@dataclass(frozen=True)
class IdentityRequest:
    """What a service may set. None leaves what is there, or takes the default."""

    status: str | None
    status_reason: str | None
    primary_key: str | None
    secondary_key: str | None


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def new_etag() -> str:
    return base64.b64encode(str(secrets.randbelow(10**9)).encode()).decode()


def new_generation() -> str:
    return str(clock.ticks(time.time_ns()))


def check_device_id(device_id: str) -> None:
    """Raises HubError 400 where IoT Hub would not register the name."""
    if not _DEVICE_ID.fullmatch(device_id):
        raise invalid(
            "A device id has 1 to 128 ASCII letters, digits and any of - : . + % _ # * ? ! ( ) , "
            "= @ ; $ '"
        )


def parse_identity(document: Mapping[str, Any]) -> IdentityRequest:
    """Read the JSON form a service sends. Raises HubError 400, or 501 for X.509 and IoT Edge."""
    status = document.get("status")
    if status not in (None, ENABLED, DISABLED):
        raise invalid("status is 'enabled' or 'disabled'")
    reason = document.get("statusReason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > _MAX_STATUS_REASON):
        raise invalid("statusReason is a string of at most 128 characters")
    capabilities = document.get("capabilities") or {}
    if isinstance(capabilities, Mapping) and capabilities.get("iotEdge"):
        raise not_emulated("IoT Edge devices")
    primary, secondary = _parse_keys(document.get("authentication") or {})
    return IdentityRequest(status, reason, primary, secondary)


def _parse_keys(authentication: object) -> tuple[str | None, str | None]:
    if not isinstance(authentication, Mapping):
        raise invalid("authentication is an object")
    if authentication.get("type") not in (None, "sas"):
        raise not_emulated("X.509 authentication; use type 'sas'")
    keys = authentication.get("symmetricKey") or {}
    if not isinstance(keys, Mapping):
        raise invalid("symmetricKey is an object")
    primary, secondary = keys.get("primaryKey"), keys.get("secondaryKey")
    if (primary is None) != (secondary is None):
        raise invalid("Give both primaryKey and secondaryKey, or neither to have them generated")
    if primary is None or secondary is None:
        return None, None
    return _check_key(primary), _check_key(secondary)


def _check_key(key: object) -> str:
    try:
        if isinstance(key, str) and len(base64.b64decode(key, validate=True)) in _KEY_BYTES:
            return key
    except binascii.Error:
        pass
    raise HubError(400, "InvalidKey", "A symmetric key is base64 of 16 to 64 bytes")


def identity_json(identity: Identity, waiting_messages: int) -> dict[str, Any]:
    """The JSON form of `GET /devices/{id}`. `waiting_messages` are cloud-to-device messages."""
    return {
        "deviceId": identity.device_id,
        "generationId": identity.generation_id,
        "etag": identity.etag,
        "connectionState": identity.connection_state,
        "status": identity.status,
        "statusReason": identity.status_reason,
        "connectionStateUpdatedTime": clock.iso(identity.connection_updated),
        "statusUpdatedTime": clock.iso(identity.status_updated),
        "lastActivityTime": clock.iso(identity.last_activity),
        "cloudToDeviceMessageCount": waiting_messages,
        "authentication": {
            "symmetricKey": {
                "primaryKey": identity.primary_key,
                "secondaryKey": identity.secondary_key,
            },
            "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
            "type": "sas",
        },
        "capabilities": {"iotEdge": False},
    }
