"""Shared access signatures, as Service Bus, Event Hubs and IoT Hub define them."""

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import unquote

PREFIX = "SharedAccessSignature "


class SasError(Exception):
    """A token that is malformed, expired, wrongly signed or made for something else."""


@dataclass(frozen=True)
class SasToken:
    """A parsed token: `SharedAccessSignature sr=…&sig=…&se=…[&skn=…]`."""

    resource: str  # decoded and lower-cased, scheme and port removed: "localhost/devices/x400_1"
    key_name: str  # "" where a device signs with its own key
    expiry: int  # Unix seconds
    signature: bytes
    signed: bytes  # the bytes that were signed

    @classmethod
    def parse(cls, token: str) -> "SasToken":
        """Raises SasError where the token is not one."""
        if not token.startswith(PREFIX):
            raise SasError("not a SharedAccessSignature")
        fields = dict(part.partition("=")[::2] for part in token[len(PREFIX) :].split("&"))
        try:
            return cls(
                resource=normalise(unquote(fields["sr"])),
                key_name=unquote(fields.get("skn", "")),
                expiry=int(fields["se"]),
                signature=base64.b64decode(unquote(fields["sig"]), validate=True),
                signed=f"{fields['sr']}\n{fields['se']}".encode(),
            )
        except KeyError as missing:
            raise SasError(f"the token has no {missing}") from None
        except (ValueError, binascii.Error):
            raise SasError("the token's se or sig cannot be read") from None

    def verify(self, key: bytes, resource: str) -> None:
        """Check signature, expiry and that the token covers `resource` (a prefix of its path).

        `key` is the HMAC key itself: the key's text for Service Bus and Event Hubs, the
        base64-decoded key for IoT Hub. Raises SasError.
        """
        expected = hmac.new(key, self.signed, hashlib.sha256).digest()
        if not hmac.compare_digest(expected, self.signature):
            raise SasError("the signature does not match")
        if self.expiry <= time.time():
            raise SasError("the token has expired")
        wanted = normalise(resource)
        if wanted != self.resource and not wanted.startswith(self.resource + "/"):
            raise SasError("the token was made for another resource")


def normalise(resource: str) -> str:
    """`sb://localhost:5672/Queue/` and `localhost/queue` are the same resource."""
    _, _, rest = resource.rpartition("://")
    host, slash, path = rest.lower().strip("/").partition("/")
    return host.partition(":")[0] + slash + path
