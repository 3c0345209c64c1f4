"""What container `namespaces` keeps: how many accounts each Service Bus namespace has."""

from pydantic import BaseModel


class NamespaceCount(BaseModel):
    """One document for each namespace.

    Raised before an account is made: after an interruption it may be too high, never too low.
    """

    id: str  # the namespace's name in the settings
    accounts: int
