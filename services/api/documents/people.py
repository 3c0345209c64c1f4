"""Container `people`."""

from datetime import datetime

from pydantic import BaseModel


class PersonDocument(BaseModel):
    """A username, which is unique on the platform, and what opens it.

    Whether the person belongs to the account, and as what, says the account alone
    (`Account.members`). A document without membership is a claim of somebody who is about to
    join, or left over from it.
    """

    id: str  # a hash of the username, the partition key
    username: str
    user_id: str  # the account
    password: str  # Argon2id, in its own notation
    invitation_id: str  # with which it was claimed; "" where the operator made it
    claimed_at: datetime
