"""Orders over the air as Cosmos DB keeps them (container `jobs`)."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field, computed_field

from shared.schemas.documents import Sortable


class JobKind(StrEnum):
    """What a job installs. A device has one open job of each kind at most."""

    APP = "app"
    FIRMWARE = "firmware"


class JobState(StrEnum):
    """A job goes down this list, or back to `queued` for another attempt; six are ends."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


ENDS = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.REJECTED,
        JobState.TIMED_OUT,
        JobState.CANCELLED,
        JobState.SUPERSEDED,
    }
)


class JobStep(BaseModel):
    """One thing that happened to a job, so that a stuck update can be explained."""

    state: JobState
    at: datetime
    reason: str = ""
    percent: int = 0  # of the download
    attempt: int = 1


class Job(BaseModel):
    """One artifact on its way to one device. Its id is the order's, so an order makes one job.

    Changed under its ETag only; what is in `ENDS` never changes its state again.
    """

    id: str
    user_id: str  # the partition key
    doc: Literal["job"] = "job"
    kind: JobKind
    device_id: str
    paired_at: datetime  # of the pairing that it was ordered in: it ends with it
    app_id: str = ""  # of an app
    artifact_id: str  # the id of the AppVersionDocument or FirmwareDocument
    name: str
    version: str
    size: int  # bytes
    md5: str  # base64
    sha256: str  # hex
    filepath: str
    blob_etag: str
    ordered_by: str
    created_at: Sortable
    state: JobState = JobState.QUEUED
    state_at: datetime
    percent: int = 0  # of the download, in this attempt
    reason: str = ""  # why it is in its state, for people
    attempt: int = 1
    steps: list[JobStep] = Field(default_factory=list)  # oldest first, bounded
    # `$version` of the reported properties that are taken into account: older ones change nothing.
    reported_version: int = 0
    reported_at: str = ""  # of the last of them, `$lastUpdated`: the twin goes on showing it
    ticket_expires_at: datetime | None = None  # of the download's address that the device has
    retry_at: datetime | None = None  # while it is queued again: not sent before
    # Since when the gateway is connected and gives no sign of progress; none: it is not connected.
    silent_since: datetime | None = None
    answer_by: datetime | None = None  # until when its connected gateway must give such a sign
    expires_at: datetime | None = None  # then it ends, wherever it is
    due_at: Sortable | None = None  # when somebody must look at it; none: never again
    finished_at: datetime | None = None
    ttl: int = -1  # seconds that it is kept from its last change; -1: for ever

    @computed_field  # type: ignore[prop-decorator]
    @property
    def open(self) -> bool:
        """Whether it has not had its end. It is stored, so that lists of such are indexed."""
        return self.state not in ENDS


class Slot(BaseModel):
    """Which job of a kind a device is at; none where nobody needs to look at one.

    Changed in one transaction with the jobs it is about, so that a gateway that connects costs no
    look at what has ended long ago.
    """

    id: str  # `slot_id`
    user_id: str  # the partition key
    doc: Literal["slot"] = "slot"
    job_id: str


def slot_id(device_id: str, kind: JobKind) -> str:
    """The id of the slot of a device."""
    return f"{device_id}:{kind}"
