"""Reported properties: the Core's own, and what the app may report besides."""

import json
import unicodedata

from x400.errors import ErrorCode, IomoteError
from x400.settings import GatewaySettings
from x400.twin import Json

OWN = frozenset(
    {"fwversion", "app_name", "app_version", "connectivity", "ICCID", "type"}
    | {"ota_app", "ota_firmware"}
)
NAME_CHARACTERS = 100
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode
MOST_BYTES = 8192


def of_gateway(settings: GatewaySettings, fwversion: str) -> dict[str, str]:
    """What the gateway is."""
    return {
        "fwversion": fwversion,
        "connectivity": settings.connectivity,
        "ICCID": settings.iccid,
        "type": settings.model,
    }


def of_app(name: str, version: tuple[int, int, int]) -> dict[str, str]:
    """What the app says of itself at `begin`. Raises IomoteError."""
    if not is_name(name):
        raise IomoteError(
            ErrorCode.IOMOTE_ERR_DATA, "the app name has 1 to 100 printable characters"
        )
    if not all(0 <= number <= 255 for number in version):
        raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, "version numbers go from 0 to 255")
    return {"app_name": name, "app_version": ".".join(map(str, version))}


def is_name(text: str) -> bool:
    """1 to 100 characters, no line breaks, no control characters, no lone surrogates."""
    controls = any(unicodedata.category(one) in CONTROLS for one in text)
    return 0 < len(text) <= NAME_CHARACTERS and not controls


def checked(text: str | bytes) -> Json:
    """A patch of the app: a JSON object without the Core's own properties. Raises IomoteError."""
    try:
        body = text.encode() if isinstance(text, str) else text
        if len(body) > MOST_BYTES:
            raise IomoteError(ErrorCode.IOMOTE_ERR_MSG_SIZE, "at most 8192 bytes are taken")
        patch = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, f"not JSON: {error}") from None
    if not isinstance(patch, dict):
        raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, "not a JSON object")
    if OWN & patch.keys() or any(name.startswith("$") for name in patch):
        raise IomoteError(
            ErrorCode.IOMOTE_ERR_DATA, f"the Core itself reports {', '.join(sorted(OWN))}"
        )
    return patch
