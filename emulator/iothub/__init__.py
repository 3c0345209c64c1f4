"""The local IoT Hub: registry, twins, direct methods, MQTT, cloud-to-device messages."""

from emulator.iothub.hub import IotHub
from emulator.iothub.rest import add_routes

__all__ = ["IotHub", "add_routes"]
