"""Errors in the form in which Azure Cosmos DB answers them."""

from enum import IntEnum

CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    500: "InternalServerError",
    501: "NotImplemented",
}


class Substatus(IntEnum):
    """Values of `x-ms-substatus` that the SDKs act on."""

    PARTITION_KEY_MISMATCH = 1001
    PARTITION_KEY_RANGE_GONE = 1002
    CONTAINER_RID_MISMATCH = 1024


class CosmosError(Exception):
    """An answer other than success: an HTTP status, Azure's code for it, and a message."""

    def __init__(self, status: int, message: str, substatus: Substatus | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = CODES[status]
        self.message = message
        self.substatus = substatus


def bad_request(message: str, substatus: Substatus | None = None) -> CosmosError:
    return CosmosError(400, message, substatus)


def not_found(what: str) -> CosmosError:
    return CosmosError(404, f"Resource Not Found: {what} does not exist.")


def conflict(message: str) -> CosmosError:
    return CosmosError(409, message)


def precondition_failed(message: str) -> CosmosError:
    return CosmosError(412, message)


def too_large(message: str) -> CosmosError:
    return CosmosError(413, message)


def not_emulated(what: str) -> CosmosError:
    """Azure can do this, the local Azure cannot: never a silent success."""
    return CosmosError(501, f"{what} is not emulated by the local Cosmos DB.")
