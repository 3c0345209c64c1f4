"""What gateways say of jobs, in their twin and in the event stream. Pure; no exceptions.

Reported `ota_app` and `ota_firmware` are always the whole object `{job, state, percent, error}`.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.schemas.jobs import JobKind, JobState
from shared.schemas.messages import EventSource

log = logging.getLogger(__name__)

PROPERTIES = {JobKind.APP: "ota_app", JobKind.FIRMWARE: "ota_firmware"}
INSTALLED = {JobKind.APP: ("app_name", "app_version"), JobKind.FIRMWARE: ("fwversion",)}

# A body without any of these is none of ours, and need not be read as JSON.
_NAMES = ("ota_app", "ota_firmware", "app_name", "app_version", "fwversion", "tags")
_SOUGHT = tuple(f'"{name}"'.encode() for name in _NAMES)


class Report(BaseModel):
    """What a gateway says of one job."""

    model_config = ConfigDict(frozen=True)

    job: str = Field(min_length=1, max_length=128)
    state: Literal[
        JobState.ACCEPTED,
        JobState.DOWNLOADING,
        JobState.INSTALLING,
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.REJECTED,
    ]
    percent: int = Field(0, ge=0, le=100)
    error: str = ""  # "code: detail"
    at: str = ""  # when, as the twin's metadata have it; "" where they say nothing

    @property
    def code(self) -> str:
        """Of the error; "" for none."""
        return self.error.partition(":")[0].strip()


@dataclass(frozen=True)
class Installed:
    """What a gateway reports to run; `name` is "" for firmware, and where it reports none."""

    name: str
    version: str


@dataclass(frozen=True)
class News:
    """What an event of one device means for its jobs."""

    reports: Mapping[JobKind, Report]
    version: int = 0  # `$version` of the reported properties
    look: bool = False  # something changed that only the twin or the inventory tells whole
    connected: bool = False  # the gateway connected just now


def read_report(kind: JobKind, reported: Mapping[str, Any]) -> Report | None:
    """From reported properties; None where there is none, or nonsense."""
    name = PROPERTIES[kind]
    value = reported.get(name)
    if value is None:
        return None
    try:
        report = Report.model_validate(value)
    except ValidationError as error:
        log.warning("a report of a job is ignored", extra={"why": error.errors()[0]["msg"]})
        return None
    return report.model_copy(update={"at": _updated_at(reported, name)})


def read_installed(kind: JobKind, reported: Mapping[str, Any]) -> Installed:
    """From a twin's reported properties."""
    if kind is JobKind.FIRMWARE:
        return Installed("", _text(reported.get("fwversion")))
    return Installed(_text(reported.get("app_name")), _text(reported.get("app_version")))


def read_version(properties: Mapping[str, Any]) -> int:
    """`$version`, which grows with each change; 0 where there is none."""
    version = properties.get("$version")
    return version if isinstance(version, int) else 0


def read_news(source: str, operation: str, body: bytes) -> News | None:
    """What an event of the stream means for jobs; None for most.

    `source`: the annotation `iothub-message-source`; `operation`: the property `opType`.
    """
    if source == EventSource.CONNECTION:
        return News({}, look=True, connected=True) if operation == "deviceConnected" else None
    if source != EventSource.TWIN or not any(name in body for name in _SOUGHT):
        return None
    try:
        twin = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(twin, dict):
        return None
    properties = twin.get("properties")
    reported = properties.get("reported") if isinstance(properties, dict) else None
    if not isinstance(reported, dict):
        reported = {}
    found = {kind: read_report(kind, reported) for kind in JobKind}
    reports = {kind: report for kind, report in found.items() if report is not None}
    # Whether it has the new version is seen beside what it said before, which only the twin has.
    look = (
        "tags" in twin
        or any(name in reported for names in INSTALLED.values() for name in names)
        or any(report.state is JobState.SUCCEEDED for report in reports.values())
    )
    return News(reports, read_version(reported), look) if reports or look else None


def _updated_at(reported: Mapping[str, Any], name: str) -> str:
    metadata = reported.get("$metadata")
    of_it = metadata.get(name) if isinstance(metadata, dict) else None
    return _text(of_it.get("$lastUpdated")) if isinstance(of_it, dict) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
