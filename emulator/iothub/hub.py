"""The local IoT Hub: its parts, and what it does when more than one of them is concerned."""

import asyncio
import contextlib
import logging
from dataclasses import replace

from emulator.amqp.node import AmqpError, ManagementNode, Node, Right
from emulator.iothub.amqp_nodes import DeviceboundNode, FeedbackNode
from emulator.iothub.authentication import Authentication
from emulator.iothub.c2d import MAX_MESSAGE_BYTES, CloudMessage, CloudToDevice
from emulator.iothub.connections import Connections
from emulator.iothub.device_session import DeviceSession
from emulator.iothub.errors import HubError, device_not_found
from emulator.iothub.events import Append, Events
from emulator.iothub.faults import FaultRates, Faults
from emulator.iothub.feedback import Feedback
from emulator.iothub.identity import Identity, IdentityRequest
from emulator.iothub.methods import Methods
from emulator.iothub.mqtt_connection import MqttConnection
from emulator.iothub.registry import Registry
from emulator.iothub.sessions import Sessions
from emulator.iothub.twins import TwinChange, TwinRequest, Twins, lifecycle_json
from emulator.sas import SasToken
from emulator.store import Store

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0

NO_TWIN = TwinRequest(None, None)
NO_FAULTS = FaultRates()


class IotHub:
    """One hub. Build it on the running event loop; `close` ends its connections and task.

    Every change is durable when the store is: who answers a client awaits `store.durable()`,
    MQTT answers wait by themselves.
    """

    def __init__(
        self,
        store: Store,
        hostname: str,
        key: bytes,
        append: Append,
        *,
        connection_state_interval: float = 0.0,
        restart_grace: float = 15.0,
        faults: FaultRates = NO_FAULTS,
    ) -> None:
        """`key` is the decoded key of the policy iothubowner.

        `connection_state_interval`: seconds between snapshots of connection state; 0 tells each
        change at once. `restart_grace`: seconds that devices have to return after a restart,
        before they are told disconnected. `faults`: what shall go wrong, by default nothing.
        """
        self.store = store
        self.hostname = hostname
        self.registry = Registry(store)
        self.twins = Twins(store)
        self.sessions = Sessions(store)
        self.feedback = Feedback(store)
        self.c2d = CloudToDevice(store, self.feedback)
        self.faults = Faults(faults)
        self.events = Events(self.faults.repeating(append), hostname)
        self.authentication = Authentication(hostname, key, self.registry)
        self.connections: Connections[DeviceSession] = Connections(
            store,
            self.registry,
            self.events,
            interval=connection_state_interval,
            restart_grace=restart_grace,
        )
        self.methods = Methods(self._method_target)
        self._open: set[MqttConnection] = set()
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    def mqtt_protocol(self) -> MqttConnection:
        """The protocol factory for `loop.create_server`, plain or with TLS."""
        return MqttConnection(self)

    async def close(self) -> None:
        """End all connections. Devices that do not return are told disconnected next time."""
        self._sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeper
        self.connections.stop()
        for connection in list(self._open):
            connection.abort()
        await self._all_closed.wait()
        await self.store.durable()

    def create_device(
        self, device_id: str, request: IdentityRequest, twin_request: TwinRequest = NO_TWIN
    ) -> Identity:
        """Raises HubError 409 where it exists, 400 for a bad name or too large a twin."""
        twin = self.twins.new(twin_request)
        identity = self.registry.create(device_id, request)
        self.twins.insert(device_id, twin)
        self.events.lifecycle(device_id, created=True, twin=lifecycle_json(device_id, twin))
        return identity

    def update_device(
        self, device_id: str, request: IdentityRequest, if_match: str | None
    ) -> Identity:
        """Raises HubError 404 or 412. A device that is disabled loses its connection."""
        identity = self.registry.update(device_id, request, if_match)
        session = self.connections.get(device_id)
        if session is not None and not identity.enabled:
            session.drop("the device was disabled")
        return identity

    def delete_device(self, device_id: str, if_match: str | None) -> None:
        """Delete the identity and all that hangs on it. Raises HubError 404 or 412."""
        twin = self.twins.get(device_id)
        self.registry.check(device_id, if_match)
        self.connections.forget(device_id)
        self.registry.delete(device_id)
        self.events.lifecycle(device_id, created=False, twin=lifecycle_json(device_id, twin))

    def update_twin(self, device_id: str, request: TwinRequest, if_match: str | None) -> None:
        """Merge tags and desired properties. Raises HubError 404, 412, 400."""
        change = self.twins.update(device_id, request, if_match)
        self._twin_changed(device_id, change, replaced=False)

    def replace_twin(self, device_id: str, request: TwinRequest, if_match: str | None) -> None:
        """Replace tags and desired properties. Raises HubError 404, 412, 400."""
        change = self.twins.replace(device_id, request, if_match)
        self._twin_changed(device_id, change, replaced=True)

    def report(self, device_id: str, patch: object) -> TwinChange:
        """Merge what a device reports. Raises HubError 404, 400."""
        change = self.twins.report(device_id, patch)
        self.events.twin_change(device_id, replaced=False, change=change.event)
        return change

    def send(self, device_id: str, message: CloudMessage) -> None:
        """Queue a cloud-to-device message. Raises HubError 404, 413, 403, 400."""
        if self.registry.find(device_id) is None:
            raise device_not_found(device_id)
        self.c2d.send(device_id, message)
        session = self.connections.get(device_id)
        if session is not None:
            session.deliver()

    def identity(self, device_id: str) -> Identity:
        """The identity with the activity of a live connection. Raises HubError 404."""
        identity = self.registry.get(device_id)
        session = self.connections.get(device_id)
        return (
            identity if session is None else replace(identity, last_activity=session.last_activity)
        )

    def connection_opened(self, connection: MqttConnection) -> None:
        self._open.add(connection)
        self._all_closed.clear()

    def connection_closed(self, connection: MqttConnection) -> None:
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()

    @property
    def max_message_size(self) -> int:
        """See `emulator.amqp.node.Service`: a cloud-to-device message and its envelope."""
        return 2 * MAX_MESSAGE_BYTES

    def owns(self, address: str) -> bool:
        """See `emulator.amqp.node.Service`."""
        return address.strip("/").lower().partition("/")[0] == "messages"

    def rights(self, address: str, token: SasToken) -> frozenset[Right]:
        """See `emulator.amqp.node.Service`. The policy iothubowner may do all."""
        self.authentication.service(token, address)
        return frozenset((Right.LISTEN, Right.SEND))

    def node(self, address: str) -> Node | ManagementNode:
        """See `emulator.amqp.node.Service`."""
        match address.strip("/").lower():
            case "messages/devicebound":
                return DeviceboundNode(self.send)
            case "messages/servicebound/feedback":
                return FeedbackNode(self.feedback, self.hostname)
        raise AmqpError(
            "amqp:not-found",
            f"IoT Hub has no endpoint {address}; read events from the event hub itself",
        )

    def _twin_changed(self, device_id: str, change: TwinChange, *, replaced: bool) -> None:
        self.events.twin_change(device_id, replaced=replaced, change=change.event)
        session = self.connections.get(device_id)
        if session is not None and change.desired_patch is not None:
            session.desired_changed(change.twin.desired.version, change.desired_patch)

    def _method_target(self, device_id: str) -> DeviceSession | None:
        session = self.connections.get(device_id)
        return session if session is not None and session.takes_methods else None

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self.c2d.expire()
                self.feedback.sweep()
                self.connections.sweep()
            except HubError:
                log.exception("the sweep failed; it runs again in a second")
