"""A queue's settings and access rules, with Azure's limits (Standard tier)."""

import json
import re
import secrets
from base64 import b64encode
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from emulator.amqp.node import Right
from emulator.servicebus.iso8601 import FOREVER_MS

MAX_MESSAGE_BYTES = 256 * 1024
MAX_RULES = 12
MEBIBYTE = 1024 * 1024

_SECOND = 1000
_DAY = 86_400 * _SECOND
_LOCK_RANGE = (5 * _SECOND, 300 * _SECOND)
_TTL_RANGE = (_SECOND, FOREVER_MS)
_HISTORY_RANGE = (20 * _SECOND, 7 * _DAY)
_DELIVERY_RANGE = (1, 2000)
_SIZES_MB = (1024, 2048, 3072, 4096, 5120)
_MAX_METADATA = 1024
_QUEUE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
_RULE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,254}[A-Za-z0-9])?")
_RIGHTS_ALLOWED = (
    {Right.LISTEN},
    {Right.SEND},
    {Right.LISTEN, Right.SEND},
    {Right.LISTEN, Right.SEND, Right.MANAGE},
)


class Status(StrEnum):
    """Whether a queue takes and gives messages."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    SEND_DISABLED = "SendDisabled"
    RECEIVE_DISABLED = "ReceiveDisabled"

    @property
    def sends(self) -> bool:
        """Whether messages may be sent to the queue."""
        return self in (Status.ACTIVE, Status.RECEIVE_DISABLED)

    @property
    def receives(self) -> bool:
        """Whether messages may be received from the queue."""
        return self in (Status.ACTIVE, Status.SEND_DISABLED)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What an owner sets on a queue. Durations in milliseconds, defaults as Azure's."""

    lock_duration: int = 60 * _SECOND
    max_size_mb: int = 1024
    requires_duplicate_detection: bool = False
    duplicate_window: int = 600 * _SECOND
    default_ttl: int = FOREVER_MS
    dead_letter_expired: bool = False
    max_delivery_count: int = 10
    batched_operations: bool = True
    status: Status = Status.ACTIVE
    user_metadata: str = ""

    def check(self) -> None:
        """Raises ValueError, naming the property, where Azure would refuse with 400."""
        _check_range("LockDuration", self.lock_duration, _LOCK_RANGE)
        _check_range("DefaultMessageTimeToLive", self.default_ttl, _TTL_RANGE)
        _check_range("DuplicateDetectionHistoryTimeWindow", self.duplicate_window, _HISTORY_RANGE)
        _check_range("MaxDeliveryCount", self.max_delivery_count, _DELIVERY_RANGE)
        if self.max_size_mb not in _SIZES_MB:
            raise ValueError(f"MaxSizeInMegabytes must be one of {', '.join(map(str, _SIZES_MB))}")
        if len(self.user_metadata) > _MAX_METADATA:
            raise ValueError(f"UserMetadata must not be longer than {_MAX_METADATA} characters")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "QueueSettings":
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields | {"status": Status(fields["status"])})


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A shared access rule of a queue. The keys sign as text; times are Unix milliseconds."""

    name: str
    rights: frozenset[Right]
    primary_key: str
    secondary_key: str
    created_at: int
    modified_at: int

    def check(self) -> None:
        """Raises ValueError where Azure would refuse with 400."""
        if not _RULE_NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name[:64]}' is not a valid rule name")
        if self.rights not in _RIGHTS_ALLOWED:
            raise ValueError("Rights must be Listen, Send, Listen and Send, or all three")
        if not self.primary_key or not self.secondary_key:
            raise ValueError("PrimaryKey and SecondaryKey must not be empty")


def check_rules(rules: tuple[AccessRule, ...]) -> None:
    """Raises ValueError: a rule is wrong, there are two of one name, or more than twelve."""
    for rule in rules:
        rule.check()
    if len({rule.name.lower() for rule in rules}) != len(rules):
        raise ValueError("two authorization rules have the same name")
    if len(rules) > MAX_RULES:
        raise ValueError(f"a queue has {MAX_RULES} authorization rules at most")


def rules_to_json(rules: tuple[AccessRule, ...]) -> str:
    return json.dumps([asdict(rule) | {"rights": sorted(rule.rights)} for rule in rules])


def rules_from_json(text: str) -> tuple[AccessRule, ...]:
    return tuple(
        AccessRule(**fields | {"rights": frozenset(map(Right, fields["rights"]))})
        for fields in json.loads(text)
    )


def new_key() -> str:
    """A random key of 256 bits, in base64 as Azure makes them."""
    return b64encode(secrets.token_bytes(32)).decode()


def check_queue_name(name: str) -> None:
    """Raises ValueError for a name that Azure would refuse."""
    if not _QUEUE_NAME.fullmatch(name) or "//" in name:
        raise ValueError(
            f"'{name[:64]}' is not a valid queue name: 1 to 260 letters, digits, '.', '-', '_' "
            "and '/', the first and last a letter or digit"
        )


def _check_range(name: str, value: int, allowed: tuple[int, int]) -> None:
    low, high = allowed
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high} (durations in milliseconds)")
