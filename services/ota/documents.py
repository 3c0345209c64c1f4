"""What only the OTA service keeps in Cosmos DB."""

import hashlib
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.schemas.documents import Sortable

ArtifactKind = Literal["app", "firmware"]


class Claim(BaseModel):
    """A version's number: of its id there can be one only. Beside the version, in its partition.

    Written and deleted in one transaction with the version.
    """

    id: str  # `claim_id`
    kind: Literal["claim"] = "claim"
    artifact_id: str


class AppClaim(Claim):
    """Container `apps`: a version of an app."""

    user_id: str


class FirmwareClaim(Claim):
    """Container `firmware`: a version of a firmware for a type of gateway."""

    type: str


def claim_id(owner: str, version: str) -> str:
    """`owner`: the app's id, or the firmware's name."""
    text = f"{owner}\n{version}"
    return f"claim-{hashlib.sha256(text.encode()).hexdigest()}"


class Upload(BaseModel):
    """Container `uploads`: a binary that is being stored or deleted, until that is done.

    Whoever finds an old one looks whether the artifact has a document; if not, the blob must go.
    Only whoever began it ends it, under its ETag: another deletion may have begun it anew.
    """

    id: str  # the artifact's
    kind: ArtifactKind
    partition: str  # of the artifact's document: the account, or the type of gateway
    filepath: str  # the blob's name
    deletion: bool = False
    created_at: Sortable = Field(default_factory=lambda: datetime.now(UTC))
