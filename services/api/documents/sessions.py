"""Container `sessions`."""

from datetime import datetime

from pydantic import BaseModel


class Session(BaseModel):
    """A person who is signed in somewhere. The token itself is never stored, only its hash."""

    id: str  # the first half of the token's SHA-256 in hex: 128 bits
    user_id: str  # the account, the partition key
    person_id: str
    username: str
    # Equals the member's: who was removed and joins again does not find old sessions alive.
    joined_at: datetime
    created_at: datetime
    seen_at: datetime  # written at most once in a few minutes
    expires_at: datetime  # however busy it is
    idle_seconds: int  # unused so long, it ends
    address: str  # the client's, when it signed in
    agent: str  # likewise, as the client calls itself
    ttl: int  # seconds from the last write: no list shows a session that has ended
