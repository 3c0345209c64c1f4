"""The control socket: how `python -m x400 press` reaches the gateway that is running.

A Unix socket in the state directory, for this user only. One JSON object a line each way:
`{"command": …, "device": …, …}` is answered by `{"ok": true, …}` or `{"ok": false, "error": …}`.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from x400.control_commands import COMMANDS, CommandError
from x400.errors import IomoteError
from x400.gateway import Gateway, GatewayOffError

SOCKET = "control.sock"
PATH_BYTES = 107  # what sockaddr_un holds on Linux
REQUEST_BYTES = 64 * 1024
ANSWER_SECONDS = 10.0

log = logging.getLogger(__name__)


class ControlError(Exception):
    """There is no gateway to talk to, or it refuses; the text says what to do."""


class ControlServer:
    """Serves the gateways of this process, by device id."""

    def __init__(self, state: Path, gateways: Mapping[str, Gateway]) -> None:
        self._state = state
        self._gateways = gateways
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises ControlError where another process serves this directory."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = socket_path(self._state)
        if _answers(path):
            raise ControlError(
                f"a gateway is already running with the state in {self._state}; stop it, or give "
                "this one another directory with --state"
            )
        _remove(path)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path, limit=REQUEST_BYTES)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            _remove(socket_path(self._state))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await reader.readline()
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("control: %s", error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            command = COMMANDS[request["command"]]
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": f"unknown; the commands are {', '.join(COMMANDS)}"}
        try:
            gateway = self._find(request.get("device"))
            return {"ok": True} | await command(gateway, request)
        except (CommandError, GatewayOffError, IomoteError) as error:
            return {"ok": False, "error": str(error)}

    def _find(self, device: str | None) -> Gateway:
        if device is None and len(self._gateways) == 1:
            return next(iter(self._gateways.values()))
        if device is None:
            some = ", ".join(list(self._gateways)[:3])
            raise CommandError(
                f"{len(self._gateways)} gateways run here; name one with --device, such as {some}"
            )
        if device not in self._gateways:
            raise CommandError(f"no gateway {device} runs here")
        return self._gateways[device]


def call(state: Path, command: str, device: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Ask the running gateway, and wait for its answer. Raises ControlError."""
    request = {"command": command, "device": device} | arguments
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(socket_path(state))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except TimeoutError:
        raise ControlError("the gateway does not answer; look at its log") from None
    except (OSError, ValueError):
        raise ControlError(
            f"no gateway is running with the state in {state}: start one with `make run`, or with "
            "`python -m x400 run`, from the same directory (or name its --state)"
        ) from None
    if not isinstance(answer, dict) or not answer.get("ok"):
        raise ControlError(str(answer.get("error", "the gateway gave no answer")))
    return answer


def socket_path(state: Path) -> str:
    """The socket's path, relative where the absolute one is too long for the system."""
    path = state.resolve() / SOCKET
    for candidate in (str(path), os.path.relpath(path)):
        if len(os.fsencode(candidate)) <= PATH_BYTES:
            return candidate
    raise ControlError(f"the path {path} is too long for a socket; use a shorter --state")


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
