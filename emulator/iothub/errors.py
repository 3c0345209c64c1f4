"""What IoT Hub refuses, by its status and error code."""


class HubError(Exception):
    """A refusal: HTTP status, IoT Hub's error code, and what to do about it.

    `number` is set where IoT Hub answers with a numbered error (direct methods: 404103 and
    504101), which has a body of its own.
    """

    def __init__(self, status: int, code: str, message: str, number: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.number = number


def device_not_found(device_id: str) -> HubError:
    return HubError(404, "DeviceNotFound", f"Device {device_id} not registered")


def invalid(message: str) -> HubError:
    return HubError(400, "ArgumentInvalid", message)


def not_emulated(what: str) -> HubError:
    return HubError(501, "NotImplemented", f"The local IoT Hub does not emulate {what}")


def precondition_failed(message: str) -> HubError:
    return HubError(412, "PreconditionFailed", f"Precondition failed: {message}")
