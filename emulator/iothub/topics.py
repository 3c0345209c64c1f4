"""The topics of IoT Hub's MQTT endpoint: what a device may publish and subscribe to.

Facts: "Communicate with an IoT hub using the MQTT protocol" of Azure's documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

TWIN_RESPONSES = "$iothub/twin/res/#"
DESIRED_PATCHES = "$iothub/twin/PATCH/properties/desired/#"
METHOD_CALLS = "$iothub/methods/POST/#"

_TWIN_GET = "$iothub/twin/GET/?"
_TWIN_PATCH = "$iothub/twin/PATCH/properties/reported/?"
_METHOD_RESULT = "$iothub/methods/res/"

PropertyBag = Mapping[str, str | None]


class TopicError(Exception):
    """A topic that IoT Hub does not let this device publish to."""


@dataclass(slots=True)
class Event:
    """Device to cloud: `devices/{id}/messages/events/{properties}`."""

    properties: dict[str, str | None]


@dataclass(slots=True)
class TwinGet:
    """The device asks for its twin. `rid` is kept as it was sent, to be echoed."""

    rid: str


@dataclass(slots=True)
class TwinPatch:
    """The device changes its reported properties."""

    rid: str


@dataclass(slots=True)
class MethodResult:
    """The device answers a direct method."""

    status: int
    rid: str


def parse_publish(topic: str, device_id: str) -> Event | TwinGet | TwinPatch | MethodResult:
    """What a device publishes to. Raises TopicError for all that is not its own."""
    events = f"devices/{device_id}/messages/events"
    if topic.startswith(events) and topic[len(events) : len(events) + 1] in ("", "/"):
        return Event(parse_properties(topic[len(events) + 1 :]))
    if topic.startswith(_TWIN_GET):
        return TwinGet(_request_id(topic[len(_TWIN_GET) :]))
    if topic.startswith(_TWIN_PATCH):
        return TwinPatch(_request_id(topic[len(_TWIN_PATCH) :]))
    if topic.startswith(_METHOD_RESULT):
        status, separator, query = topic[len(_METHOD_RESULT) :].partition("/?")
        if separator and status.lstrip("-").isdecimal() and len(status) <= 10:
            return MethodResult(int(status), _request_id(query))
    raise TopicError("the topic is not one of this device's")


def parse_properties(bag: str) -> dict[str, str | None]:
    """`a=1&b=&c` is `{"a": "1", "b": "", "c": None}`; keys and values are percent-encoded.

    Raises TopicError where what is encoded is not UTF-8.
    """
    if not bag:
        return {}
    properties: dict[str, str | None] = {}
    try:
        for part in bag.removeprefix("?").split("&"):
            key, equals, value = part.partition("=")
            if "%" in part:
                key, value = unquote(key, errors="strict"), unquote(value, errors="strict")
            if key:
                properties[key] = value if equals else None
    except UnicodeDecodeError:
        raise TopicError("a property is not UTF-8") from None
    return properties


def format_properties(properties: PropertyBag) -> str:
    """The reverse of `parse_properties`."""
    return "&".join(
        quote(key, safe="") if value is None else f"{quote(key, safe='')}={quote(value, safe='')}"
        for key, value in properties.items()
    )


def subscribable(topic_filter: str, device_id: str) -> bool:
    """IoT Hub grants its four documented filters and nothing else."""
    return topic_filter in (
        TWIN_RESPONSES,
        DESIRED_PATCHES,
        METHOD_CALLS,
        devicebound_filter(device_id),
    )


def devicebound_filter(device_id: str) -> str:
    return f"devices/{device_id}/messages/devicebound/#"


def devicebound(device_id: str, properties: PropertyBag) -> str:
    """The topic of a cloud-to-device message."""
    return f"devices/{device_id}/messages/devicebound/{format_properties(properties)}"


def twin_response(status: int, rid: str, version: int | None = None) -> str:
    """The topic that answers TwinGet and TwinPatch."""
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={rid}{suffix}"


def desired_patch(version: int) -> str:
    """The topic on which a change of the desired properties is told."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def method_call(name: str, rid: str) -> str:
    """The topic that calls a direct method."""
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={rid}"


def _request_id(query: str) -> str:
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key in ("$rid", "%24rid") and value:
            return value
    raise TopicError("the topic has no $rid")
