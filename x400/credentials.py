"""A device's connection string and the SAS tokens made from it."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from urllib.parse import quote

API_VERSION = "2021-04-12"
# The characters that IoT Hub allows in a device id; none of them leaves the state directory.
DEVICE_ID = re.compile(r"[A-Za-z0-9\-.+%_#*?!(),:=@$']{1,128}")


@dataclass(frozen=True)
class DeviceCredentials:
    """Who the gateway is at which IoT Hub."""

    host: str
    port: int | None  # None where the connection string names no port
    device_id: str
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "DeviceCredentials":
        """Read `HostName=host[:port];DeviceId=..;SharedAccessKey=..`.

        Raises ValueError, whose text never repeats the key.
        """
        parts = [part.partition("=") for part in text.strip().split(";") if part]
        fields = {name.strip().lower(): value.strip() for name, _, value in parts}
        missing = [
            name
            for name in ("HostName", "DeviceId", "SharedAccessKey")
            if not fields.get(name.lower())
        ]
        if missing:
            raise ValueError(
                f"the connection string has no {' and no '.join(missing)}; it must read "
                "HostName=<hub>;DeviceId=<device id>;SharedAccessKey=<key>"
            )
        host, _, port = fields["hostname"].partition(":")
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("the port in the connection string's HostName is not a port number")
        if not DEVICE_ID.fullmatch(fields["deviceid"]):
            raise ValueError("the connection string's DeviceId is not one that IoT Hub allows")
        try:
            key = base64.b64decode(fields["sharedaccesskey"], validate=True)
        except binascii.Error:
            raise ValueError("the connection string's SharedAccessKey is not base64") from None
        return cls(host, int(port) if port else None, fields["deviceid"], key)

    @property
    def username(self) -> str:
        """The MQTT user name that IoT Hub expects."""
        return f"{self.host}/{self.device_id}/?api-version={API_VERSION}"

    def sas_token(self, expiry: int) -> str:
        """The MQTT password, valid until `expiry` (Unix seconds)."""
        resource = quote(f"{self.host}/devices/{self.device_id}", safe="")
        digest = hmac.new(self.key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
        signature = quote(base64.b64encode(digest), safe="")
        return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}"
