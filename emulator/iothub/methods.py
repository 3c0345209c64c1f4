"""Direct methods: a request to a connected device, and its answer.

Facts: "Understand and invoke direct methods from IoT Hub" of Azure's documentation.
"""

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from emulator.iothub import json_body
from emulator.iothub.errors import HubError, invalid

DEFAULT_TIMEOUT = 30  # seconds
MIN_RESPONSE_TIMEOUT = 5
MAX_TIMEOUT = 300
MAX_PAYLOAD_BYTES = 128 * 1024

_NAME = re.compile(r"[!#%&'*+\-.^_`|~A-Za-z0-9]{1,100}")


@dataclass(frozen=True)
class MethodCall:
    """What a service asks of a device."""

    name: str
    payload: bytes  # JSON
    connect_timeout: float  # seconds
    response_timeout: float


@dataclass(frozen=True)
class MethodAnswer:
    """What the device answered."""

    status: int
    payload: object


class MethodTarget(Protocol):
    """A connected device that subscribed to methods."""

    def call_method(self, name: str, rid: str, payload: bytes) -> None: ...


def parse_call(document: object, encode: Callable[[Any], bytes]) -> MethodCall:
    """Read the body of POST /twins/{id}/methods. Raises HubError 400."""
    if not isinstance(document, dict):
        raise invalid("The body is a JSON object")
    name = document.get("methodName")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("methodName is 1 to 100 printable ASCII characters without separators")
    payload = encode(document.get("payload"))
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise HubError(413, "RequestEntityTooLarge", "A method's payload has at most 128 KB")
    return MethodCall(
        name,
        payload,
        _seconds(document, "connectTimeoutInSeconds", 0, 0),
        _seconds(document, "responseTimeoutInSeconds", MIN_RESPONSE_TIMEOUT, DEFAULT_TIMEOUT),
    )


def _seconds(document: dict[str, Any], name: str, minimum: int, default: int) -> int:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= MAX_TIMEOUT:
        raise invalid(f"{name} is a number of seconds from {minimum} to {MAX_TIMEOUT}")
    return value


class Methods:
    """Calls under way. `find` gives the connected device that takes methods, if any."""

    def __init__(self, find: Callable[[str], MethodTarget | None]) -> None:
        self._find = find
        self._request_ids = itertools.count(1)
        self._answers: dict[tuple[str, str], asyncio.Future[MethodAnswer]] = {}
        self._arrivals: dict[str, set[asyncio.Future[None]]] = {}

    async def invoke(self, device_id: str, call: MethodCall) -> MethodAnswer:
        """Raises HubError 404 (404103 not online, 404104 went away), 504 (504101 no answer)."""
        target = self._find(device_id) or await self._arrival(device_id, call.connect_timeout)
        if target is None:
            raise HubError(
                404,
                "DeviceNotOnline",
                "The operation failed because the requested device isn't online or hasn't "
                "registered the direct method callback.",
                404103,
            )
        rid = f"{next(self._request_ids):x}"
        answer = asyncio.get_running_loop().create_future()
        self._answers[device_id, rid] = answer
        target.call_method(call.name, rid, call.payload)
        try:
            return await asyncio.wait_for(answer, call.response_timeout)
        except TimeoutError:
            raise HubError(
                504, "GatewayTimeout", "Timed out waiting for the response from device.", 504101
            ) from None
        finally:
            del self._answers[device_id, rid]

    def answered(self, device_id: str, rid: str, status: int, body: bytes) -> None:
        """The device's answer; one that nobody waits for any more is dropped."""
        waiting = self._answers.get((device_id, rid))
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(MethodAnswer(status, json_body.parse(body) if body else None))
        except HubError:
            waiting.set_exception(
                HubError(502, "BadGateway", "The device's answer is not valid JSON.", 502101)
            )

    def arrived(self, device_id: str) -> None:
        """A device subscribed to methods: calls that wait for it go on."""
        for waiting in self._arrivals.get(device_id, ()):
            if not waiting.done():
                waiting.set_result(None)

    def left(self, device_id: str) -> None:
        """A device's connection is gone: its calls end with 404104."""
        for (called, _), waiting in self._answers.items():
            if called == device_id and not waiting.done():
                waiting.set_exception(
                    HubError(
                        404,
                        "DeviceConnectionClosedRemotely",
                        "The device disconnected before it answered.",
                        404104,
                    )
                )

    async def _arrival(self, device_id: str, timeout: float) -> MethodTarget | None:  # noqa: ASYNC109  the caller's own
        if timeout <= 0:
            return None
        arrival = asyncio.get_running_loop().create_future()
        waiting = self._arrivals.setdefault(device_id, set())
        waiting.add(arrival)
        try:
            await asyncio.wait_for(arrival, timeout)
        except TimeoutError:
            return None
        finally:
            waiting.discard(arrival)
            if not waiting:
                self._arrivals.pop(device_id, None)
        return self._find(device_id)
