"""What one connected device may do: publish, twin, methods, cloud-to-device messages."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.iothub import json_body, topics
from emulator.iothub.errors import HubError
from emulator.iothub.events import Sender
from emulator.iothub.mqtt_packets import Packet, PubAck, Publish, Will
from emulator.iothub.sessions import Subscriptions

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub

MAX_IN_FLIGHT = 16  # cloud-to-device messages sent and not acknowledged
MAX_SUBSCRIPTIONS = 5
FAILURE = 0x80  # SUBACK, MQTT 3.1.1 §3.9.3


class DeviceSession:
    """A device on its connection, from CONNACK to the end of it.

    `send` writes a packet once all that was changed before it is durable; `close` ends the
    connection. Whatever a device must not do raises TopicError or HubError: MQTT 3.1.1 has no
    other answer than to close.
    """

    def __init__(
        self,
        hub: "IotHub",
        sender: Sender,
        *,
        send: Callable[[Packet], None],
        close: Callable[[str], None],
    ) -> None:
        self.device_id = sender.device_id
        self.last_activity = time.time()
        self.active = False
        self._hub = hub
        self._sender = sender
        self._send = send
        self._close = close
        self._persistent = False
        self._subscriptions: Subscriptions = {}
        self._in_flight: dict[int, int] = {}  # packet id -> row of the message
        self._last_packet_id = 0
        self._ended = False

    def begin(self, *, clean: bool) -> bool:
        """Resume or start the session; whether there was one to resume."""
        hub = self._hub
        stored = None if clean else hub.sessions.load(self.device_id)
        self._persistent = not clean
        self._subscriptions = stored or {}
        hub.connections.add(self)
        if clean:
            hub.sessions.discard(self.device_id)
        elif stored is None:
            hub.sessions.save(self.device_id, {})
        if stored is None:
            hub.c2d.forget_offers(self.device_id)
        return stored is not None

    def resume(self) -> None:
        """After CONNACK: go on with what a resumed session subscribed to."""
        if self._subscriptions:
            self._became_active()
            self._serve_subscriptions()

    def publish(self, packet: Publish) -> None:
        """Take a packet the device published. Raises TopicError, HubError."""
        match topics.parse_publish(packet.topic, self.device_id):
            case topics.Event(properties):
                if packet.retain:
                    properties["mqtt-retain"] = "true"
                self._hub.events.telemetry(self._sender, properties, packet.payload)
            case topics.TwinGet(rid):
                twin = self._hub.twins.get(self.device_id)
                self._answer_twin(topics.twin_response(200, rid), twin.device_view())
            case topics.TwinPatch(rid):
                self._report(rid, packet.payload)
            case topics.MethodResult(status, rid):
                self._hub.methods.answered(self.device_id, rid, status, packet.payload)
        self._became_active()
        if packet.packet_id is None:
            return
        if self._hub.faults.loses_puback(self.device_id):
            self.drop("a fault that was asked for: no PUBACK for what is stored")
            return
        self._send(PubAck(packet.packet_id))

    def publish_will(self, will: Will) -> None:
        """The connection broke: the will becomes telemetry. Raises TopicError, HubError."""
        match topics.parse_publish(will.topic, self.device_id):
            case topics.Event(properties):
                if will.retain:
                    properties["mqtt-retain"] = "true"
                properties["iothub-MessageType"] = "Will"
                self._hub.events.telemetry(self._sender, properties, will.payload)

    def subscribe(self, filters: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
        """Subscribe; the codes for SUBACK. Call `serve_new` once it is sent."""
        codes = tuple(self._grant(topic_filter, qos) for topic_filter, qos in filters)
        self._save()
        if any(code != FAILURE for code in codes):
            self._became_active()
        return codes

    def serve_new(self) -> None:
        """After SUBACK: deliver what waits for a new subscription."""
        self._serve_subscriptions()

    def unsubscribe(self, filters: tuple[str, ...]) -> None:
        for topic_filter in filters:
            self._subscriptions.pop(topic_filter, None)
        self._save()

    def acknowledged(self, packet_id: int) -> None:
        """The device has a cloud-to-device message."""
        row = self._in_flight.pop(packet_id, None)
        if row is not None:
            self._hub.c2d.complete(row)
            self.deliver()

    def deliver(self) -> None:
        """Send waiting cloud-to-device messages while few enough are in flight."""
        qos = self._subscriptions.get(topics.devicebound_filter(self.device_id))
        room = MAX_IN_FLIGHT - len(self._in_flight)
        if qos is None or room <= 0 or self._ended:
            return
        for message in self._hub.c2d.take(self.device_id, room):
            topic = topics.devicebound(self.device_id, message.properties)
            if qos == 0:
                self._send(Publish(topic, message.body))
                self._hub.c2d.complete(message.row)
                continue
            repeated = message.packet_id is not None and message.packet_id not in self._in_flight
            packet_id = message.packet_id if repeated else None
            if packet_id is None:
                packet_id = self._next_packet_id()
                self._hub.c2d.offered(message.row, packet_id)
            self._in_flight[packet_id] = message.row
            self._send(Publish(topic, message.body, 1, packet_id, dup=repeated))

    def desired_changed(self, version: int, patch: dict[str, Any]) -> None:
        """Tell the device of new desired properties, if it subscribed."""
        if topics.DESIRED_PATCHES in self._subscriptions:
            body = json.dumps({**patch, "$version": version}, separators=(",", ":")).encode()
            self._send(Publish(topics.desired_patch(version), body))

    @property
    def takes_methods(self) -> bool:
        return topics.METHOD_CALLS in self._subscriptions and not self._ended

    def call_method(self, name: str, rid: str, payload: bytes) -> None:
        self._send(Publish(topics.method_call(name, rid), payload))

    def drop(self, reason: str) -> None:
        """End the connection from the hub's side."""
        self.end()
        self._close(reason)

    def end(self) -> None:
        """The connection is gone or going. May be called twice."""
        if self._ended:
            return
        self._ended = True
        self._hub.c2d.release(self._in_flight.values())
        self._hub.methods.left(self.device_id)
        self._hub.connections.remove(self)

    def _report(self, rid: str, payload: bytes) -> None:
        try:
            change = self._hub.report(self.device_id, json_body.parse(payload))
        except HubError as refused:
            body = {"errorCode": refused.status, "message": refused.message}
            self._answer_twin(topics.twin_response(refused.status, rid), body)
            return
        version = change.twin.reported.version
        self._answer_twin(topics.twin_response(204, rid, version), None)

    def _answer_twin(self, topic: str, body: object) -> None:
        if topics.TWIN_RESPONSES in self._subscriptions:
            text = "" if body is None else json.dumps(body, separators=(",", ":"))
            self._send(Publish(topic, text.encode()))

    def _grant(self, topic_filter: str, qos: int) -> int:
        if not topics.subscribable(topic_filter, self.device_id):
            return FAILURE
        if topic_filter not in self._subscriptions and (
            len(self._subscriptions) >= MAX_SUBSCRIPTIONS
        ):
            return FAILURE
        self._subscriptions[topic_filter] = min(qos, 1)
        return min(qos, 1)

    def _serve_subscriptions(self) -> None:
        if self.takes_methods:
            self._hub.methods.arrived(self.device_id)
        self.deliver()

    def _save(self) -> None:
        if self._persistent:
            self._hub.sessions.save(self.device_id, self._subscriptions)

    def _became_active(self) -> None:
        if not self.active:
            self.active = True
            self._hub.connections.changed(self.device_id)

    def _next_packet_id(self) -> int:
        while True:
            self._last_packet_id = self._last_packet_id % 0xFFFF + 1
            if self._last_packet_id not in self._in_flight:
                return self._last_packet_id
