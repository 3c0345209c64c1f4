"""What the platform signs, so that a gateway can check more than a hash: Ed25519.

An artifact's signature is over these lines in UTF-8, each with a newline at its end:
`mymote-artifact-v1`, `app` or `firmware`, name, version, size in bytes, SHA-256 in lower-case hex.
No name has a newline (`names.py`), so that no two artifacts have the same lines.

A key's is over the lines `mymote-key-v1` and the public key in base64: whoever trusts one key
learns the next from it.
"""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, SecretStr

from services.ota.documents import ArtifactKind

ID_DIGITS = 16


class PublishedKey(BaseModel):
    """A key that signatures may be by. `signed_by`: base64 signatures, by the other keys' ids."""

    id: str  # the first 16 hex digits of the public key's SHA-256
    algorithm: str = "Ed25519"
    public_key: str  # base64 of its 32 bytes
    active: bool  # new signatures are by it
    signed_by: dict[str, str]


@dataclass(frozen=True)
class Signable:
    """What a signature is about."""

    kind: ArtifactKind
    name: str  # of an app: the app's own name, not its file's
    version: str
    size: int  # bytes
    sha256: str  # hex

    @property
    def text(self) -> bytes:
        """The bytes that are signed."""
        lines = ("mymote-artifact-v1", self.kind, self.name, self.version, self.size, self.sha256)
        return "".join(f"{line}\n" for line in lines).encode()


@dataclass(frozen=True)
class SigningKey:
    """One of the platform's keys."""

    private: Ed25519PrivateKey

    @cached_property
    def public_key(self) -> str:
        """Base64 of the 32 bytes."""
        return b64encode(self.private.public_key().public_bytes_raw()).decode()

    @cached_property
    def id(self) -> str:
        """Short, for logs and lists."""
        return hashlib.sha256(b64decode(self.public_key)).hexdigest()[:ID_DIGITS]

    def sign(self, text: bytes) -> str:
        """Base64."""
        return b64encode(self.private.sign(text)).decode()

    def made(self, signature: str, text: bytes) -> bool:
        """Whether a signature, in base64, is this key's."""
        try:
            self.private.public_key().verify(b64decode(signature, validate=True), text)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """The platform's keys; the first one signs."""

    keys: Sequence[SigningKey]

    @classmethod
    def of(cls, seeds: Sequence[SecretStr]) -> Self:
        """Seeds are the base64 of 32 bytes, as the settings have checked."""
        return cls([_key(seed) for seed in seeds])

    def sign(self, artifact: Signable) -> str:
        """Base64 of the 64 bytes."""
        return self.keys[0].sign(artifact.text)

    def made(self, artifact: Signable, signature: str) -> bool:
        """Whether one of the keys made it."""
        return any(key.made(signature, artifact.text) for key in self.keys)

    @cached_property
    def published(self) -> list[PublishedKey]:
        """What everybody may know."""
        return [self._published(key) for key in self.keys]

    def _published(self, key: SigningKey) -> PublishedKey:
        text = f"mymote-key-v1\n{key.public_key}\n".encode()
        return PublishedKey(
            id=key.id,
            public_key=key.public_key,
            active=key is self.keys[0],
            signed_by={other.id: other.sign(text) for other in self.keys if other is not key},
        )


def _key(seed: SecretStr) -> SigningKey:
    data = b64decode(seed.get_secret_value())
    return SigningKey(Ed25519PrivateKey.from_private_bytes(data))
