"""Merging settings (RFC 7396), and what IoT Hub takes of them. Pure.

Limits of a twin: "Understand and use device twins in IoT Hub" of Azure's documentation. Ours are
narrower, since settings share 32 KB with the orders of the OTA service.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from shared.errors import InvalidRequest

MAX_BYTES = 8 * 1024  # as JSON without spaces
MAX_DEPTH = 5  # objects and arrays in each other, the settings themselves counted
MAX_KEY_BYTES = 1024
MAX_TEXT_BYTES = 4096
MAX_INTEGER = 2**52 - 1

_FORBIDDEN_IN_KEYS = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")

Json = Mapping[str, Any]


def merged(values: Json, patch: Json) -> dict[str, Any]:
    """The values after the patch: null removes, objects merge, all else replaces."""
    result = dict(values)
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        elif isinstance(item, Mapping):
            old = result.get(key)
            result[key] = merged(old if isinstance(old, Mapping) else {}, item)
        else:
            result[key] = item
    return result


def check_patch(patch: Json) -> None:
    """Raises InvalidRequest, which says what is wrong and repeats no value."""
    _check(patch, depth=1)


def check_settings(values: Json) -> None:
    """Raises InvalidRequest where all of them together are too large."""
    size = len(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise InvalidRequest(f"The settings would have {size} bytes; {MAX_BYTES} are allowed.")


def _check(value: object, depth: int) -> None:
    if isinstance(value, Mapping | list) and depth > MAX_DEPTH:
        raise InvalidRequest(f"Settings are nested {MAX_DEPTH} deep at most.")
    match value:
        case Mapping():
            for key, item in value.items():
                _check_key(key)
                _check(item, depth + 1)
        case list():
            if None in value:
                raise InvalidRequest("null removes a setting; it cannot stand in an array.")
            for item in value:
                _check(item, depth + 1)
        case str() if len(value.encode()) > MAX_TEXT_BYTES:
            raise InvalidRequest(f"A text in the settings has {MAX_TEXT_BYTES} bytes at most.")
        case int() if abs(value) > MAX_INTEGER:
            raise InvalidRequest("A whole number in the settings is beyond 2^52 - 1.")


def _check_key(key: str) -> None:
    if not key or len(key.encode()) > MAX_KEY_BYTES or _FORBIDDEN_IN_KEYS.search(key):
        raise InvalidRequest(
            f"A setting's name has 1 to {MAX_KEY_BYTES} bytes, and no '.', '$', space or control "
            "character."
        )
