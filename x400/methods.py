"""Direct methods: the requests of the cloud that want an answer at once."""

import json
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from paho.mqtt.client import MQTTMessage

METHODS = "$iothub/methods/POST/"
RESULTS = "$iothub/methods/res/"


@dataclass(frozen=True)
class MethodCall:
    """A call as it came: `$iothub/methods/POST/{name}/?$rid={rid}`."""

    name: str
    rid: str
    payload: bytes

    @classmethod
    def parse(cls, message: MQTTMessage) -> "MethodCall":
        """Read topic and payload."""
        name, _, query = message.topic[len(METHODS) :].partition("/")
        rid = parse_qs(query.removeprefix("?")).get("$rid", [""])[0]
        return cls(unquote(name), rid, bytes(message.payload))

    def answer(self, status: int) -> str:
        """The topic to answer on."""
        return f"{RESULTS}{status}/?$rid={self.rid}"


@dataclass(frozen=True)
class RebootOrder:
    """What `reboot` asks for: with `wipe` the message store is emptied first."""

    wipe: bool = False


def reboot_order(payload: bytes) -> RebootOrder | None:
    """Read the payload of `reboot`: nothing, null, `{}` or `{"wipe": true}`; None if else."""
    try:
        order = json.loads(payload or b"{}") or {}
    except ValueError:
        return None
    if not isinstance(order, dict) or not isinstance(order.get("wipe", False), bool):
        return None
    return RebootOrder(order.get("wipe", False))
