"""What IoT Hub writes into the event stream: telemetry, twin, connection and lifecycle events.

Facts: "Create and read IoT Hub messages" and "Azure IoT Hub non-telemetry event schemas" of
Azure's documentation. Annotations are the hub's alone; whatever a device sends becomes an
application property, so that nobody can send in another device's name.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from emulator.iothub import clock
from emulator.iothub.errors import HubError

MAX_MESSAGE_BYTES = 256 * 1024  # body, values of system properties, user properties
MAX_MESSAGE_ID_CHARACTERS = 128


class Append(Protocol):
    """Appends to the stream; durable when the store is. Returns the sequence number."""

    def __call__(
        self,
        *,
        partition_key: str,
        body: bytes,
        annotations: Mapping[str, object],
        application_properties: Mapping[str, object],
        message_id: str | None = None,
        correlation_id: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """A device as its connection proved it."""

    device_id: str
    generation_id: str
    auth_method: str  # JSON: {"scope": "device" | "hub", "type": "sas", "issuer": "iothub", ...}


class Events:
    """The hub's side of the stream. A device's events keep their order: one partition each."""

    def __init__(self, append: Append, hostname: str) -> None:
        self._append = append
        self._hub_name = hostname.partition(".")[0]

    def telemetry(self, sender: Sender, properties: dict[str, str | None], body: bytes) -> None:
        """Append a device's message. `properties` is the topic's property bag, and is consumed.

        Raises HubError 413 above 256 KB and 400 for a message id IoT Hub does not take.
        """
        size = len(body) + sum(len(k) + len(v or "") for k, v in properties.items())
        if size > MAX_MESSAGE_BYTES:
            raise HubError(413, "MessageTooLarge", "A message has at most 262,144 bytes")
        message_id = properties.pop("$.mid", None)
        if message_id is not None and len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
            raise HubError(400, "ArgumentInvalid", "A message id has at most 128 characters")
        content_type = properties.pop("$.ct", None)
        content_encoding = properties.pop("$.ce", None)
        if not ((content_type or "") + (content_encoding or "")).isascii():
            raise HubError(400, "ArgumentInvalid", "Content type and encoding are ASCII")
        annotations = {
            "iothub-connection-device-id": sender.device_id,
            "iothub-connection-auth-method": sender.auth_method,
            "iothub-connection-auth-generation-id": sender.generation_id,
            "iothub-enqueuedtime": datetime.now(UTC),
            "iothub-message-source": "Telemetry",
        }
        created = properties.pop("$.ctime", None)
        if created is not None:
            annotations["iothub-creation-time-utc"] = created
        self._append(
            partition_key=sender.device_id,
            body=body,
            annotations=annotations,
            message_id=message_id,
            correlation_id=properties.pop("$.cid", None),
            content_type=content_type,
            content_encoding=content_encoding,
            application_properties={k: v or "" for k, v in properties.items()},
        )

    def connection_state(self, device_id: str, *, connected: bool, sequence: int) -> None:
        """A device came or went. `sequence` only grows, for each device."""
        self._notify(
            device_id,
            source="deviceConnectionStateEvents",
            schema="deviceConnectionStateNotification",
            operation="deviceConnected" if connected else "deviceDisconnected",
            body={"sequenceNumber": f"{sequence:064X}"},
        )

    def lifecycle(self, device_id: str, *, created: bool, twin: Mapping[str, Any]) -> None:
        """An identity was created or deleted."""
        self._notify(
            device_id,
            source="deviceLifecycleEvents",
            schema="deviceLifecycleNotification",
            operation="createDeviceIdentity" if created else "deleteDeviceIdentity",
            body=twin,
        )

    def twin_change(self, device_id: str, *, replaced: bool, change: Mapping[str, Any]) -> None:
        """A twin was changed by its device or by a service."""
        self._notify(
            device_id,
            source="twinChangeEvents",
            schema="twinChangeNotification",
            operation="replaceTwin" if replaced else "updateTwin",
            body=change,
        )

    def _notify(
        self, device_id: str, *, source: str, schema: str, operation: str, body: Mapping[str, Any]
    ) -> None:
        self._append(
            partition_key=device_id,
            body=json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
            annotations={
                "iothub-connection-device-id": device_id,
                "iothub-enqueuedtime": datetime.now(UTC),
                "iothub-message-source": source,
            },
            application_properties={
                "hubName": self._hub_name,
                "deviceId": device_id,
                "operationTimestamp": clock.iso(time.time()),
                "opType": operation,
                "iothub-message-schema": schema,
            },
            correlation_id=uuid.uuid4().hex[:12],
            content_type="application/json",
            content_encoding="utf-8",
        )
