"""The control packets of MQTT 3.1.1 that IoT Hub and its clients exchange (§3)."""

from dataclasses import dataclass

PROTOCOL_NAME = "MQTT"
PROTOCOL_LEVEL = 4


@dataclass(slots=True)
class Will:
    """What the server publishes when the client goes without DISCONNECT (§3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(slots=True)
class Connect:
    client_id: str
    clean_session: bool
    keep_alive: int  # seconds; 0 means never
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    protocol_name: str = PROTOCOL_NAME
    protocol_level: int = PROTOCOL_LEVEL


@dataclass(slots=True)
class ConnAck:
    session_present: bool
    code: int


@dataclass(slots=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int | None = None  # none where qos is 0
    dup: bool = False
    retain: bool = False


@dataclass(slots=True)
class PubAck:
    packet_id: int


@dataclass(slots=True)
class Subscribe:
    packet_id: int
    filters: tuple[tuple[str, int], ...]  # topic filter, requested QoS


@dataclass(slots=True)
class SubAck:
    packet_id: int
    codes: tuple[int, ...]


@dataclass(slots=True)
class Unsubscribe:
    packet_id: int
    filters: tuple[str, ...]


@dataclass(slots=True)
class UnsubAck:
    packet_id: int


@dataclass(slots=True)
class PingReq:
    pass


@dataclass(slots=True)
class PingResp:
    pass


@dataclass(slots=True)
class Disconnect:
    pass


Packet = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
)
