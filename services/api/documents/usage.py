"""What container `usage` keeps: how each API key is used."""

from datetime import datetime

from pydantic import BaseModel, Field


class OperationUse(BaseModel):
    """One call of the API, by its operation id."""

    at: datetime  # the last time
    count: int


class KeyUse(BaseModel):
    """One document for each key that was ever used."""

    id: str  # the key's
    user_id: str
    at: datetime  # the last time
    address: str  # the client's, then
    operations: dict[str, OperationUse] = Field(default_factory=dict)


def together(one: KeyUse, other: KeyUse) -> KeyUse:
    """The use of one key, of which two parts were counted apart."""
    later = max(one, other, key=lambda use: use.at)
    operations = dict(one.operations)
    for name, use in other.operations.items():
        known = operations.get(name)
        operations[name] = (
            OperationUse(at=max(known.at, use.at), count=known.count + use.count) if known else use
        )
    return later.model_copy(update={"operations": operations})
