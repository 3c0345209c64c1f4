"""Container `audit`."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, field_serializer

# A `device` proved that it is one; a `stranger` proved nothing.
ActorKind = Literal["key", "person", "operator", "device", "stranger"]

# The account of records that concern none.
PLATFORM = "_platform"


class AuditRecord(BaseModel):
    """Who did what, when, from where. Neither bodies nor secrets."""

    id: str
    user_id: str  # the account, the partition key
    at: datetime
    actor_kind: ActorKind
    actor_id: str  # of the key or person; "" for the platform's operator
    actor_name: str
    operation: str  # the call's operation id
    targets: dict[str, str]  # ids in the path, and of what was made
    device_ids: list[str]
    status: int  # HTTP
    reason: str = ""  # of a download that was refused: what its client was told
    address: str  # the client's
    correlation_id: str

    @field_serializer("at")
    def _sortable(self, at: datetime) -> str:
        """All of one length, since the database compares text."""
        return at.isoformat(timespec="microseconds")
