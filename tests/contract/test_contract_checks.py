"""The contract's checks see what is wrong: each is shown an entity with one fault."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.entities import (
    DEVICE,
    DEVICEST,
    DEVICESTATS,
    GROUP,
    Check,
    assert_entity,
    is_entity,
)

DEVICE_ID = "X400_" + "0a" * 20
GOOD_DEVICE: dict[str, Any] = {
    **dict.fromkeys(DEVICE, ""),
    "id": DEVICE_ID,
    "device_id": DEVICE_ID,
    "device_key": "Zz0" * 21 + "1",
    "user_id": "u1",
    "location": "41.890210,-12.492231",
}
GOOD: list[tuple[dict[str, Any], Mapping[str, Check]]] = [
    (GOOD_DEVICE, DEVICE),
    ({"device": GOOD_DEVICE, "status": "Connected"}, DEVICEST),
    ({**dict.fromkeys(DEVICESTATS, 0), "id": "", "stat_of_device_id": DEVICE_ID}, DEVICESTATS),
    ({**dict.fromkeys(GROUP, ""), "id": "g", "group_of_user_id": "u1"}, GROUP),
]


@pytest.mark.parametrize(("value", "entity"), GOOD)
def test_one_fault_is_seen(value: dict[str, Any], entity: Mapping[str, Check]) -> None:
    assert_entity(value, entity)
    faults: list[Any] = [[value], {**value, "more": ""}, dict(reversed(value.items()))]
    for name in value:
        faults.append({field: value[field] for field in value if field != name})
        faults += [{**value, name: wrong} for wrong in (None, True, 1.5, -1, ["a"])]
    for fault in faults:
        assert not is_entity(fault, entity)
        with pytest.raises(AssertionError):
            assert_entity(fault, entity)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("device_id", DEVICE_ID.upper()),
        ("device_id", DEVICE_ID + "0"),
        ("device_key", "short"),
        ("location", "north"),
        ("user_id", ""),
    ],
)
def test_other_forms_are_seen(name: str, wrong: str) -> None:
    assert not is_entity({**GOOD_DEVICE, name: wrong}, DEVICE)
