"""Whose signatures a gateway believes: the keys it was given, and those that they vouch for."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from x400.store import Store
from x400.twin import Json

LEARNED = "ota_keys"  # the note
MOST_LEARNED = 32


@dataclass(frozen=True)
class _Published:
    """A key of the platform with the signatures of its other keys over it."""

    public_key: str  # base64 of 32 bytes
    signed_by: dict[str, str]  # id of a key -> base64


class TrustedKeys:
    """Ed25519 public keys. What was learned is kept, and worth as much as the key it rests on:
    a key that is taken out of the settings takes along what only it vouched for."""

    def __init__(self, store: Store, configured: Sequence[str]) -> None:
        """Raises ValueError for a configured key that is none."""
        self._store = store
        self._trusted = {key_id(text): public_key(text) for text in configured}
        self._learned: list[_Published] = []
        self.learn({"keys": store.note(LEARNED) or []})

    def __bool__(self) -> bool:
        return bool(self._trusted)

    def verifies(self, message: bytes, signature: str) -> bool:
        """Whether a trusted key made the signature, which is base64."""
        return any(_verifies(key, message, signature) for key in self._trusted.values())

    def learn(self, document: Json) -> None:
        """Take from the answer of `GET /keys` what a trusted key signed, link by link."""
        offered = [key for key in map(_published, _list(document.get("keys"))) if key]
        while new := [key for key in offered if self._vouched_for(key)]:
            for key in new:
                self._trusted[key_id(key.public_key)] = public_key(key.public_key)
            self._learned = [*self._learned, *new][-MOST_LEARNED:]
        kept = [{"public_key": k.public_key, "signed_by": k.signed_by} for k in self._learned]
        if kept and kept != self._store.note(LEARNED):
            self._store.set_note(LEARNED, kept)

    def _vouched_for(self, key: _Published) -> bool:
        if key_id(key.public_key) in self._trusted:
            return False
        message = f"mymote-key-v1\n{key.public_key}\n".encode()
        return any(
            signer in self._trusted and _verifies(self._trusted[signer], message, signature)
            for signer, signature in key.signed_by.items()
        )


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from the base64 of its 32 bytes. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(_raw(text))


def key_id(text: str) -> str:
    """The id under which the platform publishes a key. Raises ValueError."""
    return hashlib.sha256(_raw(text)).hexdigest()[:16]


def _raw(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("a public key is the base64 of 32 bytes")
    return raw


def _verifies(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _published(value: object) -> _Published | None:
    fields = value if isinstance(value, dict) else {}
    text, signed_by = fields.get("public_key"), fields.get("signed_by")
    try:
        _raw(text if isinstance(text, str) else "")
    except ValueError:
        return None
    signatures = signed_by if isinstance(signed_by, dict) else {}
    return _Published(str(text), {k: v for k, v in signatures.items() if isinstance(v, str)})


def _list(value: object) -> list[object]:
    return value[:MOST_LEARNED] if isinstance(value, list) else []
