"""Entities of the REST contract (rest-contract.md): names and types are the vendor's.

Every field is always present in a reply, with "" or 0 where nothing is set.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Error(BaseModel):
    """ERROR: the body of every refusal."""

    error: str


class Result(BaseModel):
    """RESULT: the body of every order that was taken."""

    result: str


class Group(BaseModel):
    """GROUP: devices that an account keeps together, for a client of its own."""

    id: str
    group_of_user_id: str
    name: str = ""
    client_name: str = ""
    email: str = ""
    telephone: str = ""


class Device(BaseModel):
    """DEVICE: a paired gateway as its account sees it."""

    id: str
    device_id: str  # "X400_" and 40 lower-case hex digits
    device_key: str = ""  # 64 characters
    user_id: str
    group_id: str = ""
    name: str = ""
    type: str = ""
    location: str = ""  # "lat,lon" in degrees
    connectivity: str = ""
    fwversion: str = ""
    app_name: str = ""
    app_version: str = ""
    stat_device_id: str = ""
    ICCID: str = ""


class ConnectionState(StrEnum):
    """As IoT Hub says it."""

    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


class DeviceSt(BaseModel):
    """DEVICEST: a device with its connection status."""

    device: Device
    status: ConnectionState


class DeviceStatus(BaseModel):
    """DEVICESTATUS."""

    connectionState: ConnectionState  # noqa: N815 - the contract's name


class DeviceStats(BaseModel):
    """DEVICESTATS: messages and bytes, ever, today (UTC) and on each of the seven days before."""

    id: str
    stat_of_device_id: str
    msg_tot: int = 0
    msg_current: int = 0
    msg_1: int = 0
    msg_2: int = 0
    msg_3: int = 0
    msg_4: int = 0
    msg_5: int = 0
    msg_6: int = 0
    msg_7: int = 0
    bytes_tot: int = 0
    bytes_current: int = 0
    bytes_1: int = 0
    bytes_2: int = 0
    bytes_3: int = 0
    bytes_4: int = 0
    bytes_5: int = 0
    bytes_6: int = 0
    bytes_7: int = 0


class Firmware(BaseModel):
    """FIRMWARE: a version of the Iomote Core's own software."""

    id: str
    type: str = ""
    dateTime: str = ""  # noqa: N815 - ISO 8601 with an offset
    filepath: str = ""
    name: str = ""
    version: str = ""  # "a.b.c", each 0 to 255
    note: str = ""
    download_key: str = ""
    sig_md5: str = ""  # base64 of the 16 MD5 bytes
    size: int = 0  # bytes


class App(BaseModel):
    """APP: a program for the App-processor, with its versions."""

    id: str
    user_id: str
    name: str = ""
    last_app_version_id: str = ""


class AppVersion(BaseModel):
    """APPVERSION."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    app_id: str
    dateTime: str = ""  # noqa: N815 - ISO 8601 with an offset
    filepath: str = ""
    name: str = ""
    version: str = ""  # "a.b.c", each 0 to 255
    note: str = ""
    download_key: str = ""
    sig_md5: str = ""  # base64 of the 16 MD5 bytes
    size: int = 0  # bytes
