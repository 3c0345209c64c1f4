"""The contract's entities: what each field is. Stated here by itself, on purpose: these checks
know nothing of the service's own schemas, so that both cannot be wrong together.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]

DEVICE_ID = re.compile(r"X400_[0-9a-f]{40}")
LOCATION = re.compile(r"(-?\d+(\.\d+)?,-?\d+(\.\d+)?)?")
DEVICE_KEY = re.compile(r"([0-9A-Za-z]{64})?")  # "" for keys without full scope


def text(value: Any) -> bool:
    """Any text."""
    return isinstance(value, str)


def some_text(value: Any) -> bool:
    """Text that is not empty."""
    return isinstance(value, str) and value != ""


def like(pattern: re.Pattern[str]) -> Check:
    """Text of a form."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def count(value: Any) -> bool:
    """A whole number, and not `true`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def connection(value: Any) -> bool:
    """As IoT Hub says it."""
    return value in ("Connected", "Disconnected")


ERROR: Mapping[str, Check] = {"error": some_text}
RESULT: Mapping[str, Check] = {"result": some_text}
GROUP: Mapping[str, Check] = {
    "id": some_text,
    "group_of_user_id": some_text,
    "name": text,
    "client_name": text,
    "email": text,
    "telephone": text,
}
DEVICE: Mapping[str, Check] = {
    "id": some_text,
    "device_id": like(DEVICE_ID),
    "device_key": like(DEVICE_KEY),
    "user_id": some_text,
    "group_id": text,
    "name": text,
    "type": text,
    "location": like(LOCATION),
    "connectivity": text,
    "fwversion": text,
    "app_name": text,
    "app_version": text,
    "stat_device_id": text,
    "ICCID": text,
}
DEVICEST: Mapping[str, Check] = {
    "device": lambda value: is_entity(value, DEVICE),
    "status": connection,
}
DEVICESTATUS: Mapping[str, Check] = {"connectionState": connection}
DEVICESTATS: Mapping[str, Check] = {
    "id": text,
    "stat_of_device_id": like(DEVICE_ID),
    **{
        f"{unit}_{period}": count
        for unit in ("msg", "bytes")
        for period in ("tot", "current", *map(str, range(1, 8)))
    },
}


def is_entity(value: Any, entity: Mapping[str, Check]) -> bool:
    """Whether it has the entity's fields, no others, in their order, each as it should be."""
    return (
        isinstance(value, dict)
        and list(value) == list(entity)
        and all(check(value[name]) for name, check in entity.items())
    )


def assert_entity(value: Any, entity: Mapping[str, Check]) -> None:
    """Says which fields are wrong, and shows no value: one of them is a device key."""
    assert isinstance(value, dict), f"an object was expected, not {type(value).__name__}"
    assert list(value) == list(entity), "these are not the entity's fields, or not in their order"
    wrong = [name for name, check in entity.items() if not check(value[name])]
    assert not wrong, f"these fields have other values than the contract says: {wrong}"
