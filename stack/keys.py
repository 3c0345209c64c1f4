"""Keys of the local Azure and of our services: made once, for their owner's eyes only."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

_BYTES = {"cosmos": 64, "blob": 64}


@dataclass(frozen=True)
class Keys:
    """One base64 key for each service, of the length that Azure's own keys have."""

    servicebus: str
    iothub: str
    cosmos: str
    blob: str
    ota: str  # what the api proves itself to the OTA service with
    ota_tickets: str
    ota_signing: str  # an Ed25519 seed
    operator_key: str  # what opens the api's calls of the platform's operator


def load_or_make(path: Path) -> Keys:
    """The keys in `path`, or new ones, written there before they are used."""
    earlier = json.loads(path.read_text()) if path.exists() else {}
    new = {each.name: _key(_BYTES.get(each.name, 32)) for each in fields(Keys)}
    keys = Keys(**new | earlier)
    if asdict(keys) != earlier:
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
