"""The JSON of a twin: merging, metadata and limits. Pure.

Facts: "Understand and use device twins in IoT Hub" of Azure's documentation.
"""

import re
from collections.abc import Mapping
from typing import Any

from emulator.iothub.errors import HubError, invalid

Json = dict[str, Any]

MAX_TAGS_BYTES = 8 * 1024
MAX_PROPERTIES_BYTES = 32 * 1024
MAX_DEPTH = 10
MAX_KEY_BYTES = 1024
MAX_STRING_BYTES = 4096
MIN_INTEGER = -4503599627370496
MAX_INTEGER = 4503599627370495

_FORBIDDEN_IN_KEYS = re.compile(r"[\x00-\x1f\x7f-\x9f.$ ]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_READ_ONLY = ("$metadata", "$version")


def parse_patch(document: object, where: str) -> Json:
    """Check what a client sent for tags, desired or reported, and drop what is read-only.

    Raises HubError 400 naming the place.
    """
    if not isinstance(document, dict):
        raise invalid(f"{where} is a JSON object")
    patch = {key: value for key, value in document.items() if key not in _READ_ONLY}
    _check(patch, where, depth=0)
    return patch


def _check(value: object, where: str, depth: int) -> None:
    match value:
        case dict():
            if depth > MAX_DEPTH:
                raise invalid(f"{where} is nested deeper than {MAX_DEPTH} levels")
            for key, item in value.items():
                if not key or len(key.encode()) > MAX_KEY_BYTES or _FORBIDDEN_IN_KEYS.search(key):
                    raise invalid(
                        f"{where} has a key that is empty, longer than 1 KB, or has a control "
                        "character, '.', '$' or a space"
                    )
                _check(item, f"{where}.{key}" if len(where) < 256 else where, depth + 1)
        case list():
            if depth > MAX_DEPTH:
                raise invalid(f"{where} is nested deeper than {MAX_DEPTH} levels")
            for item in value:
                _check(item, where, depth + 1)
        case str() if len(value.encode()) > MAX_STRING_BYTES:
            raise invalid(f"{where} is a string above 4 KB")
        case int() if not isinstance(value, bool) and not MIN_INTEGER <= value <= MAX_INTEGER:
            raise invalid(f"{where} is an integer outside -2^52 to 2^52-1")


def check_size(document: Mapping[str, Any], limit: int, where: str) -> None:
    """Raises HubError 400 where tags or properties are above their limit (8 or 32 KB)."""
    if (size := _size(document)) > limit:
        raise HubError(
            400, "TwinDocumentTooLarge", f"{where} would have {size} bytes; {limit} are allowed"
        )


def _size(value: object) -> int:
    """Bytes as IoT Hub counts them: keys and strings, 8 for a number, 4 for a boolean."""
    match value:
        case Mapping():
            return sum(_size(key) + _size(item) for key, item in value.items())
        case list():
            return sum(map(_size, value))
        case str():
            return len(_CONTROL.sub("", value).encode())
        case bool():
            return 4
        case int() | float():
            return 8
    return 0


def merge(values: Json, patch: Json) -> Json:
    """A copy of `values` with `patch` merged in: null deletes, objects merge, others replace."""
    merged = dict(values)
    for key, item in patch.items():
        if item is None:
            merged.pop(key, None)
        elif isinstance(item, dict):
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, dict) else {}, item)
        else:
            merged[key] = item
    return merged


def touch(metadata: Json, patch: Json, stamp: Json) -> Json:
    """The metadata after `patch`: each changed node carries `stamp` (`$lastUpdated`, ...)."""
    touched = {**metadata, **stamp}
    for key, item in patch.items():
        if item is None:
            touched.pop(key, None)
        elif isinstance(item, dict):
            touched[key] = touch(metadata.get(key, {}), item, stamp)
        else:
            touched[key] = dict(stamp)
    return touched


def metadata_of(patch: Json, stamp: Json) -> Json:
    """The metadata of a patch alone, as a change notification carries it."""
    return touch({}, patch, stamp)
