"""What the gateway shows: the status that `netStatus` gives, and the CLOUD LED."""

from enum import IntEnum, StrEnum


class NetStatus(IntEnum):
    """`status` of netStatus (x400-serial-protocol.md)."""

    HARDWARE_ERROR = 1
    CLOUD_CONNECTED = 2
    CLOUD_DISCONNECTED = 3
    NETWORK_ERROR = 4
    CLOUD_CONNECTING = 5
    NETWORK_CONNECTING = 6


class NetType(IntEnum):
    """`type` of netStatus."""

    MODEM = 0
    ETHERNET = 1


class CloudLed(StrEnum):
    """The states of the CLOUD LED."""

    APP_RESTARTING = "green fast blink"
    HARDWARE_FAULT = "red fixed"
    NETWORK_ERROR = "red blinking"
    NETWORK_CONNECTING = "orange blinking"
    DISCONNECTED = "orange fixed"
    CLOUD_CONNECTING = "green blinking"
    CONNECTED = "green fixed"


LED_OF_STATUS = {
    NetStatus.HARDWARE_ERROR: CloudLed.HARDWARE_FAULT,
    NetStatus.CLOUD_CONNECTED: CloudLed.CONNECTED,
    NetStatus.CLOUD_DISCONNECTED: CloudLed.DISCONNECTED,
    NetStatus.NETWORK_ERROR: CloudLed.NETWORK_ERROR,
    NetStatus.CLOUD_CONNECTING: CloudLed.CLOUD_CONNECTING,
    NetStatus.NETWORK_CONNECTING: CloudLed.NETWORK_CONNECTING,
}
