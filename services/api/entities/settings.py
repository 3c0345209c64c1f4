"""What a device is told and what it reports."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class DeviceSettings(BaseModel):
    """SETTINGS: what the owner configures; the gateway's app reads it."""

    device_id: str = Field(description="The DEVICE's `device_id`.")
    settings: dict[str, Any] = Field(
        description="8 KiB of JSON, nested 5 deep; a name has no '.', '$' or space.",
        examples=[{"interval_s": 60, "alarm": {"low": 2.5, "high": 8}}],
    )


class ReportedProperty(BaseModel):
    """REPORTED: a property as the gateway reported it last."""

    name: str = Field(description="As the gateway names it.", examples=["fwversion"])
    value: Any = Field(description="Any JSON value.", examples=["2.1.0"])
    updated_at: datetime | None = Field(
        description="When IoT Hub took it; null where it does not say.",
        examples=["2026-03-14T12:00:00Z"],
    )


class DeviceProperties(BaseModel):
    """PROPERTIES: what the gateway reports of itself, by name."""

    device_id: str = Field(description="The DEVICE's `device_id`.")
    properties: list[ReportedProperty] = Field(description="Each that it reported.")
