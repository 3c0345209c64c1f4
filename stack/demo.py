"""The first account and its gateway, made once with the operator's tool."""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stack.environment import Endpoints
from stack.keys import write_private
from stack.local import StackError

APP = "X400 demo"  # as the gateway's app calls itself
BINARY = "demo.bin"  # beside demo.json: something to upload
BINARY_BYTES = 100_000


@dataclass(frozen=True)
class Demo:
    """What the card shows and `.run/demo.json` keeps, for people and programs."""

    dashboard_url: str
    api_url: str
    ota_url: str
    user_id: str
    api_key: str
    username: str
    password: str
    device_id: str
    device_key: str
    device_connection_string: str
    queue_connection_string: str
    iothub_connection_string: str
    eventhub_connection_string: str
    servicebus_connection_string: str
    cosmos_endpoint: str
    cosmos_key: str
    blob_connection_string: str
    ca_file: str
    operator_key: str = ""  # "" in the file of a start before there was one

    @property
    def devices_url(self) -> str:
        """The first call of the REST contract that a new user makes."""
        return f"{self.api_url}/api/user/{self.user_id}/{self.api_key}/devices"


def load(path: Path) -> Demo | None:
    """The demo of an earlier start, if there is one. Raises StackError."""
    if not path.exists():
        return None
    try:
        return Demo(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise StackError(
            f"{path} cannot be read. Delete it, and the next start makes a new account and gateway."
        ) from None


async def load_or_make(path: Path, endpoints: Endpoints, environment: dict[str, str]) -> Demo:
    """The demo in `path`, at today's addresses; made the first time. Raises StackError.

    Its account and gateway stay; ports and host name may be others than at the last start.
    """
    earlier = load(path)
    made = asdict(earlier) if earlier else {}
    if made.get("password"):
        await operator(environment, "provision")  # a newer checkout may want other indexes
    else:
        made = await _make(environment, made)
    queue = _lead_to(endpoints.servicebus, made["queue_connection_string"])
    device = _lead_to(f"HostName={endpoints.settings.hostname}", made["device_connection_string"])
    demo = Demo(
        dashboard_url=endpoints.api_url,
        api_url=endpoints.api_url,
        ota_url=endpoints.ota_url,
        user_id=made["user_id"],
        api_key=made["api_key"],
        username=made["username"],
        password=made["password"],
        device_id=made["device_id"],
        device_key=made["device_key"],
        device_connection_string=device,
        queue_connection_string=queue,
        iothub_connection_string=endpoints.iothub,
        eventhub_connection_string=endpoints.eventhub,
        servicebus_connection_string=endpoints.servicebus,
        cosmos_endpoint=endpoints.cosmos,
        cosmos_key=endpoints.keys.cosmos,
        blob_connection_string=endpoints.blob,
        ca_file=endpoints.ca_file,
        operator_key=endpoints.keys.operator_key,
    )
    if demo != earlier:
        write_private(path, json.dumps(asdict(demo), indent=2) + "\n")
    return demo


def write_binary(folder: Path) -> None:
    """An example of what is sent over the air. A virtual gateway takes its name and version and
    goes on with the app that it has, so it may hold anything."""
    file = folder / BINARY
    if not file.exists():
        file.write_bytes(os.urandom(BINARY_BYTES))


async def _make(environment: dict[str, str], earlier: dict[str, Any]) -> dict[str, Any]:
    """A new account, or what one of before people could sign in lacks."""
    arguments = ["quickstart", "--username", "demo", "--device-name", "Demo"]
    if not earlier:
        made: dict[str, Any] = await operator(environment, *arguments)
        return made
    arguments += ["--user-id", earlier["user_id"]]
    key = {"MYMOTE_DEVICE_KEY": earlier["device_key"]}
    completed = await operator({**environment, **key}, *arguments)
    return {**earlier, **completed, "api_key": earlier["api_key"]}


def _lead_to(place: str, connection: str) -> str:
    """A connection string with the first part, which names the host, of `place`."""
    return ";".join([place.partition(";")[0], *connection.split(";")[1:]])


async def operator(environment: dict[str, str], *arguments: str) -> Any:
    """Run the operator's tool and return what it prints as JSON. Raises StackError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.api.operator",
        *arguments,
        "--json",
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await child.communicate()
    finally:
        if child.returncode is None:  # cancelled: nobody waits for its answer
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise StackError(f"the operator's tool failed: {errors.decode(errors='replace').strip()}")
    return json.loads(output)
