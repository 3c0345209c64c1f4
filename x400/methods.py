"""Direct methods: the requests of the cloud that want an answer at once."""

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, unquote

from paho.mqtt.client import MQTTMessage

from x400.wipe import parse_order

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
    """What `reboot` asks for: to wipe all messages before it, or by an order (`x400.wipe`)."""

    wipe: bool | datetime = False


def reboot_order(payload: bytes) -> RebootOrder | None:
    """Read the payload of `reboot`: nothing, null, `{}`, or `{"wipe": …}` with a boolean or the
    moment at which a pairing began; None if else."""
    try:
        order = json.loads(payload or b"{}") or {}
    except ValueError:
        return None
    if not isinstance(order, dict):
        return None
    wipe = order.get("wipe", False)
    moment = wipe if isinstance(wipe, bool) else parse_order(wipe)
    return None if moment is None else RebootOrder(moment)
