"""One MQTT connection of IoT Hub: bytes in and out, CONNECT, keep-alive, order of answers."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, cast

from emulator.iothub.authentication import ACCEPTED, Refused
from emulator.iothub.device_session import DeviceSession
from emulator.iothub.errors import HubError
from emulator.iothub.mqtt_codec import MalformedPacket, PacketReader, encode
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
from emulator.iothub.topics import Event, TopicError, parse_publish

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub

log = logging.getLogger(__name__)

MAX_PACKET_BYTES = 256 * 1024 + 0xFFFF + 4  # a message of 256 KB, its topic, its packet id
MAX_UNSENT_BYTES = 4 * 1024 * 1024  # a client that reads nothing is dropped above
CONNECT_TIMEOUT = 10.0  # seconds from the first byte's chance to CONNECT
MAX_SILENCE = 1767.0  # seconds; IoT Hub's limit, whatever the keep-alive


class MqttConnection(asyncio.Protocol):
    """Serves one client. What the client must not do ends the connection (MQTT §4.8)."""

    def __init__(self, hub: "IotHub") -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._reader = PacketReader(MAX_PACKET_BYTES)
        self._transport: asyncio.Transport | None = None
        self._session: DeviceSession | None = None
        self._will: Will | None = None
        self._unsent: list[bytes] = []
        self._closing = False
        self._heard = self._loop.time()
        self._max_silence = CONNECT_TIMEOUT
        self._expiry = float("inf")  # of the token, Unix seconds
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._hub.connection_opened(self)
        self._check_deadlines()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._heard = self._loop.time()
        try:
            for packet in self._reader.feed(data):
                self._handle(packet)
                if self._ended():
                    return
        except (MalformedPacket, TopicError, HubError) as refused:
            self.close(str(refused))

    def pause_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        self._closing = True
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        if self._session is not None:
            self._publish_will(self._session)
            self._session.end()
        self._hub.connection_closed(self)

    def close(self, reason: str) -> None:
        """Close once what is to be sent is durable and sent."""
        if self._closing:
            return
        self._closing = True
        device = self._session.device_id if self._session is not None else "a client"
        log.info("closing the connection of %s: %s", device, reason)
        if self._transport is not None and not self._unsent:
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is left."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _ended(self) -> bool:
        """Whether a packet just handled, or another connection, ended this one."""
        return self._closing

    def _send(self, packet: Packet) -> None:
        """Write once the store is durable: nothing is acknowledged that could be lost."""
        if not self._unsent:
            self._hub.store.when_durable(self._flush)
        self._unsent.append(encode(packet))

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(b"".join(unsent))
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("dropping a client that does not read")
            transport.abort()
        elif self._closing:
            transport.close()

    def _handle(self, packet: Packet) -> None:
        session = self._session
        if session is None:
            if not isinstance(packet, Connect):
                raise MalformedPacket("the first packet is not CONNECT")  # §3.1.0-1
            self._connect(packet)
            return
        session.last_activity = time.time()
        match packet:
            case Publish(qos=2):
                raise MalformedPacket("IoT Hub supports no QoS 2")
            case Publish():
                session.publish(packet)
            case PubAck(packet_id):
                session.acknowledged(packet_id)
            case Subscribe(packet_id, filters):
                self._send(SubAck(packet_id, session.subscribe(filters)))
                session.serve_new()
            case Unsubscribe(packet_id, topics):
                session.unsubscribe(topics)
                self._send(UnsubAck(packet_id))
            case PingReq():
                self._send(PingResp())
            case Disconnect():
                self._will = None  # §3.14.4-3
                self.close("the device disconnected")
            case _:
                raise MalformedPacket("a packet that clients do not send")

    def _connect(self, packet: Connect) -> None:
        if packet.will is not None:
            will_topic = parse_publish(packet.will.topic, packet.client_id)
            if packet.will.qos == 2 or not isinstance(will_topic, Event):
                raise MalformedPacket("the will is not a telemetry message of QoS 0 or 1")
        try:
            device = self._hub.authentication.device(packet)
        except Refused as refused:
            log.info("refused CONNECT of %r: %s", packet.client_id[:128], refused)
            self._send(ConnAck(False, refused.code))
            self.close("CONNECT was refused")
            return
        session = DeviceSession(self._hub, device.sender, send=self._send, close=self.close)
        present = session.begin(clean=packet.clean_session)
        self._session = session
        self._will = packet.will
        self._expiry = device.expiry
        self._max_silence = min(packet.keep_alive * 1.5 or MAX_SILENCE, MAX_SILENCE)
        self._check_deadlines()
        self._send(ConnAck(present, ACCEPTED))
        session.resume()

    def _check_deadlines(self) -> None:
        """Close where the client is silent or its token expired; else look again in time."""
        if self._watch is not None:
            self._watch.cancel()
        silent_for = self._loop.time() - self._heard
        valid_for = self._expiry - time.time()
        if silent_for >= self._max_silence or valid_for <= 0:
            self.close("the token expired" if valid_for <= 0 else "the client is silent")
            return
        self._watch = self._loop.call_later(
            min(self._max_silence - silent_for, valid_for), self._check_deadlines
        )

    def _publish_will(self, session: DeviceSession) -> None:
        will, self._will = self._will, None
        if will is None:
            return
        try:
            session.publish_will(will)
        except (TopicError, HubError) as refused:
            log.info("the will of %s was refused: %s", session.device_id, refused)
