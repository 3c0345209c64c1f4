"""A paho client that signs in to IoT Hub as a device (azure-wire-facts.md, "device side")."""

import base64

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.sas import sign

API_VERSION = "2021-04-12"


def device_client(connection_string: str) -> tuple[str, mqtt.Client]:
    """The device's id and its client, which is not connected yet."""
    parts = dict(part.partition("=")[::2] for part in connection_string.split(";"))
    hub, device_id = parts["HostName"], parts["DeviceId"]
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device_id)
    client.username_pw_set(
        f"{hub}/{device_id}/?api-version={API_VERSION}",
        sign(f"{hub}/devices/{device_id}", base64.b64decode(parts["SharedAccessKey"])),
    )
    return device_id, client
