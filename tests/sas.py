"""Shared access signatures as clients make them: Service Bus, Event Hubs and IoT Hub alike."""

import base64
import hashlib
import hmac
import time
from urllib.parse import quote


def sign(resource: str, key: bytes, *, rule: str = "", ttl: float = 3600) -> str:
    """A token for `resource`. A device has no rule; a negative `ttl` makes one that has expired.

    `key` is the HMAC key: base64-decoded for IoT Hub, the key's text for the others.
    """
    quoted, expiry = quote(resource, safe=""), int(time.time() + ttl)
    digest = hmac.new(key, f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    token = f"SharedAccessSignature sr={quoted}&sig={signature}&se={expiry}"
    return f"{token}&skn={rule}" if rule else token
