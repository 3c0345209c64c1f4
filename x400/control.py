"""The control socket: how `python -m x400 press` reaches the gateway that is running.

A Unix socket in the state directory, for this user only. One JSON object a line each way:
`{"command": …, "device": …, …}` is answered by `{"ok": true, …}` or `{"ok": false, "error": …}`.
This is the asking side, which needs nothing of a gateway; `control_server` answers.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any

SOCKET = "control.sock"
PATH_BYTES = 107  # what sockaddr_un holds on Linux
ANSWER_SECONDS = 10.0


class ControlError(Exception):
    """There is no gateway to talk to, or it refuses; the text says what to do."""


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
