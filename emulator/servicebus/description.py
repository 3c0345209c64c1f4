"""What an administration client sends: an ATOM entry with a QueueDescription, checked."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from emulator.amqp.node import Right
from emulator.servicebus.atom import SERVICE_BUS
from emulator.servicebus.iso8601 import FOREVER_MS, parse_duration
from emulator.servicebus.settings import (
    MAX_MESSAGE_BYTES,
    AccessRule,
    QueueSettings,
    Status,
    new_key,
)

_NS = f"{{{SERVICE_BUS}}}"


class NotEmulatedError(Exception):
    """The description asks for something that the local Service Bus does not have."""


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"'{text[:16]}' is neither true nor false")
    return text.lower() == "true"


# Element, setting, and how its text is read.
_SETTINGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "LockDuration": ("lock_duration", parse_duration),
    "MaxSizeInMegabytes": ("max_size_mb", int),
    "RequiresDuplicateDetection": ("requires_duplicate_detection", _boolean),
    "DuplicateDetectionHistoryTimeWindow": ("duplicate_window", parse_duration),
    "DefaultMessageTimeToLive": ("default_ttl", parse_duration),
    "DeadLetteringOnMessageExpiration": ("dead_letter_expired", _boolean),
    "MaxDeliveryCount": ("max_delivery_count", int),
    "EnableBatchedOperations": ("batched_operations", _boolean),
    "Status": ("status", Status),
    "UserMetadata": ("user_metadata", str),
}

# What must stay as it is here, and what it would ask for otherwise.
_FIXED: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "RequiresSession": (lambda text: not _boolean(text), "sessions"),
    "EnablePartitioning": (lambda text: not _boolean(text), "partitioned queues"),
    "EnableExpress": (lambda text: not _boolean(text), "express queues"),
    "ForwardTo": (lambda text: not text, "forwarding"),
    "ForwardDeadLetteredMessagesTo": (lambda text: not text, "forwarding of dead letters"),
    "AutoDeleteOnIdle": (
        lambda text: parse_duration(text) >= FOREVER_MS,
        "deletion of idle queues",
    ),
}


def parse_description(body: str) -> Element:
    """The QueueDescription of a request. Raises ValueError, or NotEmulatedError for a topic."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        raise ValueError("the body is not an ATOM entry that can be read") from None
    found = root.find(f".//{_NS}QueueDescription")
    if found is not None:
        return found
    for kind in ("TopicDescription", "SubscriptionDescription", "RuleDescription"):
        if root.find(f".//{_NS}{kind}") is not None:
            raise NotEmulatedError("topics, subscriptions and rules")
    raise ValueError("the body has no QueueDescription")


def read_settings(description: Element, current: QueueSettings) -> QueueSettings:
    """`current` with what the description says. Raises ValueError or NotEmulatedError."""
    changes: dict[str, Any] = {}
    for element in description:
        name = element.tag.removeprefix(_NS)
        text = (element.text or "").strip()
        try:
            _check_fixed(name, text)
            if name in _SETTINGS and (text or name == "UserMetadata"):
                setting, read = _SETTINGS[name]
                changes[setting] = read(text)
        except ValueError as problem:
            raise ValueError(f"The value of {name} is not valid: {problem}") from None
    return replace(current, **changes)


def read_rules(
    description: Element, current: tuple[AccessRule, ...], now: int
) -> tuple[AccessRule, ...]:
    """The rules that the description lists, or `current` where it lists none at all.

    A key that is not given is kept, or made where the rule is new. Raises ValueError.
    """
    listed = description.find(f"{_NS}AuthorizationRules")
    if listed is None:
        return current
    known = {rule.name: rule for rule in current}
    return tuple(_read_rule(element, known, now) for element in listed)


def _check_fixed(name: str, text: str) -> None:
    if name in _FIXED:
        as_it_is, what = _FIXED[name]
        if not as_it_is(text):
            raise NotEmulatedError(what)
    if name == "MaxMessageSizeInKilobytes" and int(text) * 1024 != MAX_MESSAGE_BYTES:
        raise ValueError("the Standard tier takes messages of 256 KB, no more and no less")


def _read_rule(element: Element, known: Mapping[str, AccessRule], now: int) -> AccessRule:
    name = element.findtext(f"{_NS}KeyName", "").strip()
    rights = frozenset(
        Right((right.text or "").strip()) for right in element.iterfind(f".//{_NS}AccessRights")
    )
    before = known.get(name)
    primary = element.findtext(f"{_NS}PrimaryKey", "").strip()
    secondary = element.findtext(f"{_NS}SecondaryKey", "").strip()
    rule = AccessRule(
        name=name,
        rights=rights,
        primary_key=primary or (before.primary_key if before else new_key()),
        secondary_key=secondary or (before.secondary_key if before else new_key()),
        created_at=before.created_at if before else now,
        modified_at=now,
    )
    unchanged = before is not None and replace(rule, modified_at=before.modified_at) == before
    return before if unchanged and before is not None else rule
