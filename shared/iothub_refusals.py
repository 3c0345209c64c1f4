"""What IoT Hub refuses, as errors of ours."""

import logging

from msrest.exceptions import ClientException, HttpOperationError
from requests.exceptions import RequestException

from shared.errors import Conflict, MyMoteError, NotFound, TooMany, Unavailable

log = logging.getLogger(__name__)

NO_ANSWER = "IoT Hub does not answer; try again in a few seconds."
NOT_ONLINE = "404103"  # IoT Hub's number for a direct method to a device that is not connected


class DeviceOffline(Conflict):
    """The gateway is not connected, or did not answer in time."""


class TwinChanged(Conflict):
    """The twin is no longer the one whose ETag was given."""


def refusal(error: Exception) -> MyMoteError | None:
    """The hub's refusal as one of ours; None where the connection is what failed."""
    if isinstance(error, HttpOperationError):
        return _from_status(error.response.status_code, error.response.text)
    condition = getattr(error, "condition", None)
    if condition is None or isinstance(error, ClientException | RequestException):
        return None
    # AMQP 1.0 part 2 §2.8.15: uamqp gives an enumeration for names it knows, else bytes.
    match getattr(condition, "value", condition):
        case b"amqp:not-found":
            return NotFound("IoT Hub does not know this device.")
        case b"amqp:resource-limit-exceeded":
            return TooMany("50 messages wait for this device already; try again when it is online.")
    return None


def _from_status(status: int, text: str) -> MyMoteError:
    match status:
        case 404 if NOT_ONLINE in text:
            return DeviceOffline("The gateway is offline; try again when its status is Connected.")
        case 404:
            return NotFound("IoT Hub does not know this device.")
        case 409:
            return Conflict("IoT Hub has it already.")
        case 412:
            return TwinChanged("It changed in IoT Hub in the meantime; try again.")
        case 504:
            return DeviceOffline("The gateway did not answer in time.")
        case 429:
            return Unavailable("IoT Hub is busy; try again in a few seconds.")
    log.error("IoT Hub refused a call", extra={"status": status})
    return Unavailable("IoT Hub does not take this call; try again in a few seconds.")
