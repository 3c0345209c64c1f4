"""What a test run has made that no log may hold: `keep` notes it, for all of the run's processes.

`watch` notes what an HTTP client sends and gets under the names that secrets have.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

FOLDER = "MYMOTE_TEST_SECRETS"  # the environment variable that names the folder of notes
SHORTEST = 6
# Of requests, replies and the stack's own files.
NAMES = frozenset(
    {
        *("api_key", "device_key", "download_key", "password", "new_password", "token", "link"),
        *("connection_string", "queue_connection_string", "device_connection_string"),
        *("servicebus", "iothub", "cosmos", "cosmos_key", "blob", "operator_key"),
    }
)
_KEY_IN_URL = re.compile(r"/api/user/[^/]+/([^/?]{32,})")
_PARTS = re.compile(r"(?:SharedAccessKey|AccountKey|sig)=([^;&]+)|#(.+)")


def keep(*secrets: str) -> None:
    """Note secrets; of a connection string or a link, also the part that opens."""
    parts = [part for secret in secrets for groups in _PARTS.findall(secret) for part in groups]
    # A connection string as a whole is found by its key; a host name alone is no secret.
    whole = [secret for secret in secrets if "://" not in secret and "HostName=" not in secret]
    wanted = [each for each in (*whole, *parts) if len(each) >= SHORTEST]
    if not wanted or FOLDER not in os.environ:
        return
    with (Path(os.environ[FOLDER]) / str(os.getpid())).open("a") as notes:
        notes.writelines(json.dumps(each) + "\n" for each in wanted)


def kept() -> set[str]:
    """Everything that was noted by any process of this run."""
    notes = Path(os.environ[FOLDER]).iterdir()
    return {json.loads(line) for note in notes for line in note.read_text().splitlines()}


def keep_named(value: Any) -> None:
    """Note what stands in a JSON value under the names of secrets, however deep."""
    keep(*_named(value))


async def of_request(request: httpx.Request) -> None:
    """An httpx hook: keys in URL and headers, also wrong ones, and what the body names."""
    keep(*_KEY_IN_URL.findall(request.url.raw_path.decode()))
    keep(request.headers.get("X-API-Key", ""), request.headers.get("X-Operator-Key", ""))
    keep(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if request.headers.get("content-type") == "application/json":
        _keep_body(await request.aread())


async def of_response(response: httpx.Response) -> None:
    """An httpx hook: what the body names."""
    if response.headers.get("content-type") == "application/json":
        _keep_body(await response.aread())


def watch(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client, with the hooks."""
    client.event_hooks = {"request": [of_request], "response": [of_response]}
    return client


def _keep_body(body: bytes) -> None:
    try:
        keep_named(json.loads(body))
    except (ValueError, RecursionError):  # tests send what is no JSON
        return


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _named(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in NAMES and isinstance(inner, str):
                yield inner
            yield from _named(inner)
