"""Container `attempts`."""

from datetime import datetime

from pydantic import BaseModel


class AttemptCount(BaseModel):
    """How often something was tried in vain, and until when it may not be tried again."""

    id: str  # a hash of what is counted: names and addresses are nobody's business
    failures: int
    closed_until: datetime
    ttl: int  # seconds from the last failure; then all is forgotten
