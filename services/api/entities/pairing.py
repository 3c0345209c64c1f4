"""Pairing, importing and editing devices, in requests and replies."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DeviceKey = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{64}$")]
DeviceName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Location = Annotated[
    str,
    StringConstraints(
        max_length=32, pattern=r"^(-?[0-9]{1,2}(\.[0-9]{1,9})?,-?[0-9]{1,3}(\.[0-9]{1,9})?)?$"
    ),
    Field(examples=["41.890210,12.492231"]),
]
GroupIdOrNone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$")]

LOCATION = '"lat,lon" in degrees, -90 to 90 and -180 to 180; "" for none.'
GROUP = 'The `id` of one of the account\'s groups; "" for none.'


class NewDevice(BaseModel):
    """NEWDEVICE: a gateway to be paired."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "device_key": "0" * 64,
                    "name": "Pump 3",
                    "location": "41.890210,12.492231",
                    "group_id": "",
                }
            ]
        },
    )

    device_key: DeviceKey = Field(description="The 64 characters on the gateway's label.")
    name: DeviceName = Field(description="The device's name. It is fixed from now on.")
    location: Location = Field("", description=LOCATION)
    group_id: GroupIdOrNone = Field("", description=GROUP)


class DeviceEdit(BaseModel):
    """DEVICEEDIT: what of a device is to be changed; what is absent stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"location": "41.890210,12.492231"}]},
    )

    location: Location = Field("", description=LOCATION)
    group_id: GroupIdOrNone = Field("", description=GROUP)


class ImportLine(BaseModel):
    """IMPORTLINE: what became of a line of the file."""

    line: int = Field(ge=2, description="Its number in the file; the header is line 1.")
    device_id: str = Field(description='The DEVICE\'s `device_id`; "" where it failed.')
    name: str = Field(description="The device's name, or as the file has it where it failed.")
    result: Literal["valid", "paired", "already", "failed"] = Field(
        description=(
            "`paired`; `already`: this account had the gateway, and nothing was changed; "
            "`failed`; `valid`, in a dry run: it would be tried."
        )
    )
    error: str = Field(description='Why it failed, in a sentence; "" where it did not.')


class ImportReport(BaseModel):
    """IMPORTREPORT: what became of the file, line by line, in its order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dry_run": False,
                    "valid": 0,
                    "paired": 1,
                    "already": 0,
                    "failed": 1,
                    "lines": [
                        {
                            "line": 2,
                            "device_id": "X400_8cb2237d0679ca88db6464eac60da96345513964",
                            "name": "Pump 3",
                            "result": "paired",
                            "error": "",
                        },
                        {
                            "line": 3,
                            "device_id": "",
                            "name": "Pump 4",
                            "result": "failed",
                            "error": "Line 2 has the same device key.",
                        },
                    ],
                }
            ]
        }
    )

    dry_run: bool = Field(description="Whether nothing was paired because it was asked so.")
    valid: int = Field(description="How many would be tried, in a dry run.")
    paired: int = Field(description="How many gateways were paired.")
    already: int = Field(description="How many the account had before.")
    failed: int = Field(description="How many were not paired.")
    lines: list[ImportLine] = Field(description="One for each line, in their order.")
