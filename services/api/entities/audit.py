"""The audit log in replies."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.api.entities.page import Page

_RECORD: dict[str, JsonValue] = {
    "id": "b6d1f7a0c2e94f3d8a5b7c9e1f203142",
    "at": "2026-03-14T12:00:00.250000Z",
    "actor_kind": "person",
    "actor_id": "5e884898da28047151d0e56f8dc62927",
    "actor_name": "ada@example.com",
    "operation": "rebootDevice",
    "targets": {"deviceid": "X400_8cb2237d0679ca88db6464eac60da96345513964"},
    "device_ids": ["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    "status": 200,
    "reason": "",
    "address": "203.0.113.7",
    "correlation_id": "7f3c9a5e1b2d4c6f8091a2b3c4d5e6f7",
}


class AuditRecord(BaseModel):
    """AUDITRECORD: who did what, when, from where."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECORD]})

    id: str = Field(description="Opaque.")
    at: datetime = Field(description="When it was done or refused.")
    actor_kind: Literal["key", "person", "operator", "device", "stranger"] = Field(
        description="An API key, a person, the platform's operator, a device that proved that it "
        "is one, or somebody who proved nothing."
    )
    actor_id: str = Field(
        description="The APIKEY's, PERSON's or device's `id`; \"\" for the others."
    )
    actor_name: str = Field(description="The key's name or the person's username, then.")
    operation: str = Field(
        description="The call's operation id in this reference. Of downloads that were refused: "
        "`downloadRefused` (by key), `ticketRefused`, `tamperedBlob`."
    )
    targets: dict[str, str] = Field(
        description="Ids in the path, by their names there, and `made`: of what was made."
    )
    device_ids: list[str] = Field(description="The devices that it was done to.")
    status: int = Field(description="The HTTP status of the answer: 403 is a refusal.")
    reason: str = Field(
        description='Of a download that was refused: what its client was told; "" of all others.'
    )
    address: str = Field(description='The client\'s address; "" for the operator.')
    correlation_id: str = Field(description="`X-Correlation-Id` of the answer.")


class AuditPage(Page[AuditRecord]):
    """AUDITPAGE: some records, the newest first."""
