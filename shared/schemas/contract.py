"""Entities of the REST contract (rest-contract.md): names and types are the vendor's.

Every field is always present in a reply, with "" or 0 where nothing is set.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Error(BaseModel):
    """ERROR: the body of every refusal."""

    error: str = Field(
        description="One sentence: what is wrong, and what to do.",
        examples=["This account has no device of this id; GET .../devices lists those it has."],
    )


class Result(BaseModel):
    """RESULT: the body of every order that was taken."""

    result: str = Field(description="What became of the order.", examples=["queued"])


class Group(BaseModel):
    """GROUP: devices that an account keeps together, for a client of its own."""

    id: str = Field(description="Opaque.", examples=["g5b1d0c9e8f7a6423"])
    group_of_user_id: str = Field(
        description="The account's UserID.", examples=["u3f9c2d41a07be586"]
    )
    name: str = Field("", description="The group's name.", examples=["Boilers North"])
    client_name: str = Field(
        "", description="The client that the devices are for.", examples=["Acme Ltd"]
    )
    email: str = Field(
        "", description="Where the client is reached.", examples=["plant@example.com"]
    )
    telephone: str = Field("", description="Likewise.", examples=["+39 06 5550 0100"])


class Device(BaseModel):
    """DEVICE: a paired gateway as its account sees it."""

    id: str = Field(
        description="Opaque; equals `device_id`.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    device_id: str = Field(
        description="`X400_` and 40 lower-case hex digits.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    device_key: str = Field(
        "",
        description='The 64 characters on the gateway; `""` for callers without full scope.',
        examples=[""],
    )
    user_id: str = Field(description="The account's UserID.", examples=["u3f9c2d41a07be586"])
    group_id: str = Field(
        "", description='The GROUP\'s `id`; `""` in no group.', examples=["g5b1d0c9e8f7a6423"]
    )
    name: str = Field("", description="As given at pairing.", examples=["Pump 7"])
    type: str = Field("", description="The gateway's model.", examples=["X400"])
    location: str = Field("", description="`lat,lon` in degrees.", examples=["41.890210,12.492231"])
    connectivity: str = Field(
        "", description="How the gateway reaches the cloud.", examples=["LTE"]
    )
    fwversion: str = Field(
        "", description="The version of the firmware that runs.", examples=["2.4.1"]
    )
    app_name: str = Field("", description="The app that runs.", examples=["pump-control"])
    app_version: str = Field("", description="Its version.", examples=["1.3.0"])
    stat_device_id: str = Field(
        "",
        description="The `id` of its statistics.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    ICCID: str = Field(
        "", description="The number of its SIM card.", examples=["8939107800023416395"]
    )


class ConnectionState(StrEnum):
    """As IoT Hub says it."""

    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


class DeviceSt(BaseModel):
    """DEVICEST: a device with its connection status."""

    device: Device = Field(description="The device itself.")
    status: ConnectionState = Field(description="Whether it is connected.")


class DeviceStatus(BaseModel):
    """DEVICESTATUS."""

    connectionState: ConnectionState = Field(description="Whether the device is connected.")  # noqa: N815 - the contract's name


class DeviceStats(BaseModel):
    """DEVICESTATS: messages and bytes, ever, today (UTC) and on each of the seven days before."""

    id: str = Field(
        description="Opaque.", examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"]
    )
    stat_of_device_id: str = Field(
        description="The DEVICE's `device_id`.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    msg_tot: int = Field(0, description="Messages since the device was paired.")
    msg_current: int = Field(0, description="Messages today (UTC).")
    msg_1: int = Field(0, description="Messages yesterday.")
    msg_2: int = Field(0, description="Messages 2 days ago.")
    msg_3: int = Field(0, description="Messages 3 days ago.")
    msg_4: int = Field(0, description="Messages 4 days ago.")
    msg_5: int = Field(0, description="Messages 5 days ago.")
    msg_6: int = Field(0, description="Messages 6 days ago.")
    msg_7: int = Field(0, description="Messages 7 days ago.")
    bytes_tot: int = Field(0, description="Bytes since the device was paired.")
    bytes_current: int = Field(0, description="Bytes today (UTC).")
    bytes_1: int = Field(0, description="Bytes yesterday.")
    bytes_2: int = Field(0, description="Bytes 2 days ago.")
    bytes_3: int = Field(0, description="Bytes 3 days ago.")
    bytes_4: int = Field(0, description="Bytes 4 days ago.")
    bytes_5: int = Field(0, description="Bytes 5 days ago.")
    bytes_6: int = Field(0, description="Bytes 6 days ago.")
    bytes_7: int = Field(0, description="Bytes 7 days ago.")


class Firmware(BaseModel):
    """FIRMWARE: a version of the Iomote Core's own software."""

    id: str = Field(description="Opaque.", examples=["fw-x400-2.4.1"])
    type: str = Field("", description="The gateways' model that it is for.", examples=["X400"])
    dateTime: str = Field(  # noqa: N815 - the contract's name
        "",
        description="When it was uploaded: ISO 8601 with an offset.",
        examples=["2026-03-14T12:00:00+00:00"],
    )
    filepath: str = Field("", description="Where it is kept.", examples=["firmware/x400-2.4.1.bin"])
    name: str = Field("", description="Its file's name.", examples=["x400-2.4.1.bin"])
    version: str = Field("", description="`a.b.c`, each 0 to 255.", examples=["2.4.1"])
    note: str = Field("", description="What is new in it.", examples=["Reconnects faster."])
    download_key: str = Field(
        "", description='Opens the download; `""` for callers without full scope.', examples=[""]
    )
    sig_md5: str = Field(
        "", description="Base64 of the file's 16 MD5 bytes.", examples=["PkrfRx4MJuPOGCBYunt25g=="]
    )
    size: int = Field(0, description="In bytes.", examples=[482304])


class App(BaseModel):
    """APP: a program for the App-processor, with its versions."""

    id: str = Field(description="Opaque.", examples=["a91b2c3d4e5f60718"])
    user_id: str = Field(description="The account's UserID.", examples=["u3f9c2d41a07be586"])
    name: str = Field("", description="The app's name.", examples=["pump-control"])
    last_app_version_id: str = Field(
        "",
        description='The APPVERSION\'s `id` of the newest version; `""` without any.',
        examples=["v1b2c3d4e5f607182"],
    )


class AppVersion(BaseModel):
    """APPVERSION."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(description="Opaque.", examples=["v1b2c3d4e5f607182"])
    app_id: str = Field(description="The APP's `id`.", examples=["a91b2c3d4e5f60718"])
    dateTime: str = Field(  # noqa: N815 - the contract's name
        "",
        description="When it was uploaded: ISO 8601 with an offset.",
        examples=["2026-03-14T12:00:00+00:00"],
    )
    filepath: str = Field(
        "", description="Where it is kept.", examples=["apps/pump-control-1.3.0.bin"]
    )
    name: str = Field("", description="Its file's name.", examples=["pump-control-1.3.0.bin"])
    version: str = Field("", description="`a.b.c`, each 0 to 255.", examples=["1.3.0"])
    note: str = Field("", description="What is new in it.", examples=["Reconnects faster."])
    download_key: str = Field(
        "", description='Opens the download; `""` for callers without full scope.', examples=[""]
    )
    sig_md5: str = Field(
        "", description="Base64 of the file's 16 MD5 bytes.", examples=["PkrfRx4MJuPOGCBYunt25g=="]
    )
    size: int = Field(0, description="In bytes.", examples=[482304])
