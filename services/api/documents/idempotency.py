"""What container `idempotency` keeps."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class IdempotencyRecord(BaseModel):
    """One Idempotency-Key of an account and operation; it expires a day after its last change."""

    id: str  # hash of operation and key
    user_id: str
    fingerprint: str  # hash of the request, so that a key is not used for two
    order_id: str  # what is made carries it, so that trying again makes nothing twice
    state: Literal["running", "failed", "done"] = (
        "running"  # failed: on our side, to be tried again
    )
    claimed_at: datetime
    # The reply, when done. It never holds an API key: `location` has a placeholder for it.
    status: int = 0
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
