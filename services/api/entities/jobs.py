"""Jobs in replies: orders over the air, and how far each is."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.api.entities.page import Page
from shared.schemas.jobs import JobKind, JobState

_STEP: JsonDict = {
    "state": "queued",
    "at": "2026-03-14T12:00:03.950000Z",
    "reason": "",
    "percent": 0,
    "attempt": 1,
}
_JOB: JsonDict = {
    "id": "5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18",
    "kind": "app",
    "device_id": "X400_8cb2237d0679ca88db6464eac60da96345513964",
    "app_id": "a1f0c3d2e4b59687",
    "app_version_id": "v7c6b5a4938271605",
    "firmware_id": "",
    "name": "Pump control",
    "version": "1.4.0",
    "size": 148_224,
    "state": "downloading",
    "percent": 50,
    "reason": "",
    "attempt": 1,
    "ordered_by": "ada@example.com",
    "created_at": "2026-03-14T12:00:03.950000Z",
    "state_at": "2026-03-14T12:00:05.120000Z",
    "retry_at": None,
    "answer_by": "2026-03-14T12:05:05.120000Z",
    "expires_at": "2026-03-21T12:00:03.950000Z",
    "finished_at": None,
    "steps": [_STEP],
}


class WantedJobState(StrEnum):
    """A state to look for; `open` is every state that is no end."""

    OPEN = "open"
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


class JobStep(BaseModel):
    """JOBSTEP: one thing that happened to a job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP]})

    state: JobState = Field(description="What the job came into.")
    at: datetime = Field(description="When.")
    reason: str = Field(description='Why, in a sentence; "" where the state says all.')
    percent: int = Field(ge=0, le=100, description="How much had been downloaded by then.")
    attempt: int = Field(ge=1, description="Of which attempt.")


class Job(BaseModel):
    """JOB: an order to install an app or a firmware, and what became of it.

    `queued` (not sent yet, or waiting for its next attempt), `sent` (the gateway gets it, as soon
    as it is connected), `accepted`, `downloading`, `installing`, then its end: `succeeded` (the
    gateway reports the new version), `failed`, `rejected` (the gateway does not want it),
    `timed_out`, `cancelled` or `superseded` (by a newer order). A failed attempt leads back to
    `queued` while there are attempts left.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: str = Field(description="A UUID.")
    kind: JobKind = Field(description="What is installed.")
    device_id: str = Field(description="The DEVICE's `device_id`.")
    app_id: str = Field(description='The APP\'s `id`; "" of a firmware.')
    app_version_id: str = Field(description='The APPVERSION\'s `id`; "" of a firmware.')
    firmware_id: str = Field(description='The FIRMWARE\'s `id`; "" of an app.')
    name: str = Field(description="The app's or firmware's name.")
    version: str = Field(description="a.b.c, which the gateway must report in the end.")
    size: int = Field(ge=0, description="Of the binary, in bytes.")
    state: JobState = Field(description="How far it is.")
    percent: int = Field(ge=0, le=100, description="How much of the binary the gateway has.")
    reason: str = Field(description='Why it is so, in a sentence; "" where the state says all.')
    attempt: int = Field(ge=1, description="Which attempt this is.")
    ordered_by: str = Field(description="The name of the key or person that ordered it.")
    created_at: datetime = Field(description="When it was ordered.")
    state_at: datetime = Field(description="Since when it is in its state.")
    retry_at: datetime | None = Field(
        description="When its next attempt begins; null unless it waits for one."
    )
    answer_by: datetime | None = Field(
        description="Until when its gateway, which is connected, must give a sign of progress; "
        "then it is asked again, or given up after the last attempt. Null where nothing is awaited "
        "of it."
    )
    expires_at: datetime | None = Field(
        description="When it times out at the latest, wherever it is then; null of old jobs."
    )
    finished_at: datetime | None = Field(description="When it had its end; null while it is open.")
    steps: list[JobStep] = Field(description="What happened to it, oldest first.")


class JobPage(Page[Job]):
    """JOBPAGE: some jobs, newest first."""
