"""Where a download is kept until it is installed: a file beside the store."""

import base64
import hashlib
import os

from x400.ota_order import OtaCode, OtaError, OtaKind, OtaOrder
from x400.store import Store

CHUNK_BYTES = 64 * 1024


class Part:
    """What there is of one artifact; it outlives resets and power cuts, and so do its identity
    (the SHA-256) and its ETag at the server, in the store."""

    def __init__(self, store: Store, kind: OtaKind) -> None:
        self._store = store
        self._note = f"{kind.property}_part"
        self.path = store.path.with_name(f"{store.path.stem}.{kind.value}.bin")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def etag(self) -> str:
        """Of the artifact, as the server gave it with the first bytes; "" for none."""
        return str((self._store.note(self._note) or {}).get("etag", ""))

    def begin(self, order: OtaOrder) -> None:
        """Keep what is there of the order's artifact; forget it if it is of another one."""
        note = self._store.note(self._note) or {}
        if note.get("sha256") != order.sha256 or self.size > order.size:
            self.restart(order, "")

    def restart(self, order: OtaOrder, etag: str) -> None:
        """Start the order's artifact anew."""
        self.drop()
        self._store.set_note(self._note, {"sha256": order.sha256, "etag": etag})

    def drop(self) -> None:
        """Forget what is there."""
        self.path.unlink(missing_ok=True)

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end. Raises OSError."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while chunk:
                chunk = chunk[os.write(descriptor, chunk) :]
        finally:
            os.close(descriptor)

    def corrupt(self) -> None:
        """Change one byte in the middle, as a bad flash does."""
        with self.path.open("r+b") as file:
            file.seek(self.size // 2)
            byte = file.read(1)
            file.seek(self.size // 2)
            file.write(bytes([byte[0] ^ 0xFF]))

    def check(self, order: OtaOrder) -> None:
        """Raises OtaError where it is not what the order names, byte for byte."""
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            while chunk := file.read(CHUNK_BYTES):
                md5.update(chunk)
                sha256.update(chunk)
        if self.size != order.size:
            raise OtaError(
                OtaCode.SIZE_MISMATCH,
                f"{self.size} bytes came, {order.size} were ordered",
            )
        came = base64.b64encode(md5.digest()).decode()
        if came != order.md5:
            raise OtaError(OtaCode.MD5_MISMATCH, f"{came} came, {order.md5} was ordered")
        if sha256.hexdigest() != order.sha256:
            came = sha256.hexdigest()
            raise OtaError(OtaCode.SHA256_MISMATCH, f"{came} came, {order.sha256} was ordered")
