"""The control socket's answering side, in the process of the gateways (`x400.control`)."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from x400.control import ANSWER_SECONDS, ControlError, socket_path
from x400.control_commands import COMMANDS, CommandError
from x400.errors import IomoteError
from x400.gateway import Gateway, GatewayOffError

REQUEST_BYTES = 64 * 1024

log = logging.getLogger(__name__)


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
