"""The account's queue in requests and replies."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_QUEUE: JsonDict = {
    "name": "user-u3f9c2d41a07be586",
    "namespace": "mymote-1",
    "connection_string": (
        "Endpoint=sb://mymote-1.servicebus.windows.net/;SharedAccessKeyName=listen;"
        "SharedAccessKey=…;EntityPath=user-u3f9c2d41a07be586"
    ),
    "active_messages": 12,
    "dead_letters": 0,
    "size_bytes": 3480,
    "max_megabytes": 1024,
    "state": "Active",
    "held": 0,
}


class Queue(BaseModel):
    """QUEUE: where the account's data arrives, and how much waits there."""

    model_config = ConfigDict(json_schema_extra={"examples": [_QUEUE]})

    name: str = Field(description="The queue's name in its namespace.")
    namespace: str = Field(description="The platform's name of the Service Bus namespace.")
    connection_string: str = Field(
        description='Opens this queue for listening; "" for callers without the scope `admin`.'
    )
    active_messages: int = Field(description="Messages that wait to be received.")
    dead_letters: int = Field(description="Messages that were received too often in vain.")
    size_bytes: int = Field(description="What the queue holds.")
    max_megabytes: int = Field(description="What the queue can hold.")
    state: str = Field(
        description=(
            "`Active`, or why not: `Disabled`, `ReceiveDisabled`, `SendDisabled`; `Missing` "
            "where the platform's operator has to make it again."
        )
    )
    held: int = Field(
        description=(
            "Messages that the queue refused (full, disabled, missing): kept by the platform, "
            "and sent in order when it takes again."
        )
    )


class RenewQueueKey(BaseModel):
    """What becomes of the connection string in use."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    end_previous: bool = Field(
        False,
        strict=True,
        description="True ends it at once; otherwise it stays valid until the next renewal.",
    )
