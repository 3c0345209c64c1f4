"""MQTT 3.1.1 packets to bytes and back. Pure: knows no connection and no IoT Hub.

Section numbers are those of the OASIS standard MQTT 3.1.1.
"""

from collections.abc import Callable, Iterator

from emulator.iothub.mqtt_packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)


class MalformedPacket(Exception):
    """Bytes that are no MQTT 3.1.1 packet: the connection must be closed (§4.8)."""


class PacketReader:
    """Cuts a byte stream into packets, holding at most one packet of `limit` bytes.

    A remaining length above `limit` raises at once, before the packet is buffered.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are complete now. Raises MalformedPacket."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while (frame := self._frame(start)) is not None:
                body, end = frame
                yield decode(buffer[start], bytes(buffer[body:end]))
                start = end
        finally:
            del buffer[:start]

    def _frame(self, start: int) -> tuple[int, int] | None:
        """Where the body of the packet at `start` begins and ends; None while incomplete."""
        buffer = self._buffer
        size, length, shift, position = len(buffer), 0, 0, start + 1
        if start < size:
            check_header(buffer[start])
        while position < size:
            byte = buffer[position]
            length |= (byte & 0x7F) << shift
            position += 1
            if byte < 0x80:
                if length > self._limit:
                    raise MalformedPacket(f"a packet of {length} bytes, above {self._limit}")
                end = position + length
                return (position, end) if end <= size else None
            shift += 7
            if shift > 21:
                raise MalformedPacket("the remaining length is longer than four bytes")
        return None


class _Body:
    """Reads the fields of one packet's body in order."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def byte(self) -> int:
        if self.position >= len(self.data):
            raise MalformedPacket("the packet ends early")
        self.position += 1
        return self.data[self.position - 1]

    def uint16(self) -> int:
        return self.byte() << 8 | self.byte()

    def binary(self) -> bytes:
        length = self.uint16()
        end = self.position + length
        if end > len(self.data):
            raise MalformedPacket("the packet ends early")
        value = self.data[self.position : end]
        self.position = end
        return value

    def text(self) -> str:
        try:
            value = self.binary().decode()
        except UnicodeDecodeError:
            raise MalformedPacket("a string is not UTF-8") from None
        if "\0" in value:
            raise MalformedPacket("a string contains U+0000")  # §1.5.3-2
        return value

    def packet_id(self) -> int:
        value = self.uint16()
        if value == 0:
            raise MalformedPacket("packet identifier 0")  # §2.3.1-1
        return value

    def rest(self) -> bytes:
        value = self.data[self.position :]
        self.position = len(self.data)
        return value

    @property
    def ended(self) -> bool:
        return self.position >= len(self.data)


def check_header(first: int) -> None:
    """Raises MalformedPacket where no packet begins with this byte (§2.2)."""
    kind, flags = first >> 4, first & 0x0F
    if kind == 3:
        return
    if kind not in _DECODERS:
        raise MalformedPacket(f"packet type {kind} is reserved or belongs to QoS 2")
    if flags != (2 if kind in (8, 10) else 0):
        raise MalformedPacket("reserved flags are set")  # §2.2.2


def decode(first: int, data: bytes) -> Packet:
    """The packet with this first byte and body. Raises MalformedPacket."""
    check_header(first)
    if first >> 4 == 3:
        return _decode_publish(first & 0x0F, data)
    body = _Body(data)
    packet = _DECODERS[first >> 4](body)
    if not body.ended:
        raise MalformedPacket("bytes follow the packet's last field")
    return packet


def _decode_publish(flags: int, data: bytes) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3:
        raise MalformedPacket("QoS 3")
    dup = bool(flags & 8)
    if dup and qos == 0:
        raise MalformedPacket("DUP with QoS 0")  # §3.3.1-2
    body = _Body(data)
    topic = body.text()
    if not topic or "#" in topic or "+" in topic:
        raise MalformedPacket("a topic name is empty or has wildcards")  # §3.3.2-2
    packet_id = body.packet_id() if qos else None
    return Publish(topic, body.rest(), qos, packet_id, dup, bool(flags & 1))


def _decode_connect(body: _Body) -> Connect:
    name, level, flags, keep_alive = body.text(), body.byte(), body.byte(), body.uint16()
    if flags & 1:
        raise MalformedPacket("the reserved connect flag is set")  # §3.1.2-3
    has_will, will_qos, will_retain = bool(flags & 4), flags >> 3 & 3, bool(flags & 0x20)
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise MalformedPacket("the will flags contradict each other")  # §3.1.2.6
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacket("a password without a user name")  # §3.1.2-22
    client_id = body.text()
    will = Will(body.text(), body.binary(), will_qos, will_retain) if has_will else None
    username = body.text() if flags & 0x80 else None
    password = body.binary() if flags & 0x40 else None
    return Connect(client_id, bool(flags & 2), keep_alive, username, password, will, name, level)


def _decode_subscribe(body: _Body) -> Subscribe:
    packet_id = body.packet_id()
    filters = []
    while not body.ended:
        topic_filter, qos = body.text(), body.byte()
        if not topic_filter or qos > 2:
            raise MalformedPacket("an empty topic filter or a QoS above 2")
        filters.append((topic_filter, qos))
    if not filters:
        raise MalformedPacket("SUBSCRIBE without topic filters")  # §3.8.3-3
    return Subscribe(packet_id, tuple(filters))


def _decode_unsubscribe(body: _Body) -> Unsubscribe:
    packet_id = body.packet_id()
    filters = []
    while not body.ended:
        filters.append(body.text())
    if not filters or "" in filters:
        raise MalformedPacket("UNSUBSCRIBE without topic filters")  # §3.10.3-2
    return Unsubscribe(packet_id, tuple(filters))


_DECODERS: dict[int, Callable[[_Body], Packet]] = {
    1: _decode_connect,
    2: lambda body: ConnAck(bool(body.byte() & 1), body.byte()),
    4: lambda body: PubAck(body.packet_id()),
    8: _decode_subscribe,
    9: lambda body: SubAck(body.packet_id(), tuple(body.rest())),
    10: _decode_unsubscribe,
    11: lambda body: UnsubAck(body.packet_id()),
    12: lambda _: PingReq(),
    13: lambda _: PingResp(),
    14: lambda _: Disconnect(),
}


def encode(packet: Packet) -> bytes:
    """The bytes of a packet. ValueError where a string is longer than 65,535 bytes."""
    match packet:
        case PubAck(packet_id):
            return b"\x40\x02" + packet_id.to_bytes(2, "big")
        case Publish():
            return _encode_publish(packet)
        case ConnAck(present, code):
            return bytes((0x20, 2, present, code))
        case Connect():
            return _encode_connect(packet)
        case Subscribe() | SubAck() | Unsubscribe() | UnsubAck():
            return _encode_subscription(packet)
        case PingReq():
            return b"\xc0\x00"
        case PingResp():
            return b"\xd0\x00"
        case Disconnect():
            return b"\xe0\x00"


def _encode_subscription(packet: Subscribe | SubAck | Unsubscribe | UnsubAck) -> bytes:
    packet_id = packet.packet_id.to_bytes(2, "big")
    match packet:
        case Subscribe(_, filters):
            items = b"".join(_text(topic) + bytes((qos,)) for topic, qos in filters)
            return _frame(0x82, packet_id + items)
        case SubAck(_, codes):
            return _frame(0x90, packet_id + bytes(codes))
        case Unsubscribe(_, topics):
            return _frame(0xA2, packet_id + b"".join(map(_text, topics)))
        case UnsubAck():
            return b"\xb0\x02" + packet_id


def _encode_publish(packet: Publish) -> bytes:
    first = 0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain
    packet_id = b"" if packet.packet_id is None else packet.packet_id.to_bytes(2, "big")
    return _frame(first, _text(packet.topic) + packet_id + packet.payload)


def _encode_connect(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    fields = [_text(packet.client_id)]
    if (will := packet.will) is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
        fields += [_text(will.topic), _binary(will.payload)]
    if packet.username is not None:
        flags |= 0x80
        fields.append(_text(packet.username))
    if packet.password is not None:
        flags |= 0x40
        fields.append(_binary(packet.password))
    head = _text(packet.protocol_name) + bytes((packet.protocol_level, flags))
    return _frame(0x10, head + packet.keep_alive.to_bytes(2, "big") + b"".join(fields))


def _frame(first: int, body: bytes) -> bytes:
    length, head = len(body), bytearray((first,))
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(value: str) -> bytes:
    return _binary(value.encode())


def _binary(value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise ValueError("a field is longer than 65,535 bytes")
    return len(value).to_bytes(2, "big") + value
