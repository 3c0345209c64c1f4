"""JSON as strangers send it."""

import json
from typing import NoReturn

from emulator.iothub.errors import invalid


def parse(body: bytes) -> object:
    """The value of a JSON text. Raises HubError 400 for all that RFC 8259 does not allow."""
    try:
        value: object = json.loads(body, parse_constant=_refuse)
        # A lone surrogate ("\\ud800") parses, but is no text that can be stored.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise invalid("The body is not valid JSON") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
