"""The keys of the local Azure: made once, kept in the state directory, readable by the owner."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Keys:
    """One base64 key for each service, of the length that Azure's own keys have."""

    servicebus: str
    iothub: str
    cosmos: str
    blob: str


def load_or_make(path: Path) -> Keys:
    """The keys in `path`, or new ones, written there before they are used."""
    if path.exists():
        return Keys(**json.loads(path.read_text()))
    keys = Keys(servicebus=_key(32), iothub=_key(32), cosmos=_key(64), blob=_key(64))
    write_private(path, json.dumps(asdict(keys), indent=2))
    return keys


def write_private(path: Path, text: str) -> None:
    """Replace a file at once with one that only its owner reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _key(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode()
