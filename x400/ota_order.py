"""An order over the air, as it stands in the desired properties `ota_app` and `ota_firmware`."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from unicodedata import category

import httpx

from x400.properties import CONTROLS, is_name

DETAIL_CHARACTERS = 500  # of an error that is reported
SHA256 = re.compile(r"[0-9a-f]{64}")
TEXTS = ("job", "name", "version", "url", "md5", "sha256", "signature")
NUMBER = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}", re.ASCII)


class OtaKind(StrEnum):
    """What an order installs; there is one at a time of each."""

    APP = "app"
    FIRMWARE = "firmware"

    @property
    def property(self) -> str:
        """The name of its desired and its reported property."""
        return f"ota_{self.value}"


class OtaCode(StrEnum):
    """What `error` of the reported property begins with."""

    NO_DEVICE_KEY = "no_device_key"
    BAD_ORDER = "bad_order"
    TOO_LARGE = "too_large"
    DOWNLOAD_FAILED = "download_failed"
    REFUSED = "refused"
    SIZE_MISMATCH = "size_mismatch"
    MD5_MISMATCH = "md5_mismatch"
    SHA256_MISMATCH = "sha256_mismatch"
    BAD_SIGNATURE = "bad_signature"
    INSTALL_FAILED = "install_failed"
    POWER_LOST = "power_lost"


class OtaError(Exception):
    """An order failed; it may succeed at another attempt."""

    def __init__(self, code: OtaCode, detail: str) -> None:
        text = f"{code.value}: {detail}"[:DETAIL_CHARACTERS]  # some of it a server's words
        super().__init__("".join("?" if category(one) in CONTROLS else one for one in text))


class OtaRejectedError(OtaError):
    """The gateway refuses an order: another attempt would be refused as well."""


@dataclass(frozen=True)
class OtaOrder:
    """An order that makes sense. The URL holds a ticket, a secret."""

    kind: OtaKind
    job: str
    name: str
    version: str
    url: str = field(repr=False)
    size: int  # bytes
    md5: str  # base64
    sha256: str  # hex
    signature: str  # base64

    @classmethod
    def parse(cls, kind: OtaKind, value: object) -> "OtaOrder":
        """Read a desired property. Raises OtaRejectedError with what is wrong."""
        fields = value if isinstance(value, dict) else {}
        text = {name: _text(fields, name) for name in TEXTS}
        size = fields.get("size")
        order = cls(kind=kind, size=size if type(size) is int else 0, **text)
        wrong = order._wrong()
        if wrong:
            raise OtaRejectedError(OtaCode.BAD_ORDER, wrong)
        return order

    @property
    def version_numbers(self) -> tuple[int, int, int]:
        """The three numbers of the version."""
        major, minor, patch = map(int, self.version.split("."))
        return major, minor, patch

    def signed(self) -> bytes:
        """The bytes that `signature` signs."""
        lines = (self.kind.value, self.name, self.version, str(self.size), self.sha256)
        return ("mymote-artifact-v1\n" + "".join(f"{line}\n" for line in lines)).encode()

    def proof(self, device_key: str, method: str, now: float) -> dict[str, str]:
        """The header by which the device proves itself in one request, at a Unix time."""
        url = httpx.URL(self.url)
        path = url.raw_path.partition(b"?")[0].decode()
        message = f"{method}\n{path}\n{url.params['ticket']}\n{int(now)}".encode()
        mac = hmac.new(device_key.encode("ascii", "replace"), message, hashlib.sha256)
        return {"X-Device-Proof": f"{int(now)}.{mac.hexdigest()}"}

    def _wrong(self) -> str:
        if not self.job:
            return "it has no job"
        if not VERSION.fullmatch(self.version):
            return "its version is not a.b.c, each number from 0 to 255"
        nameless = self.kind is OtaKind.FIRMWARE and not self.name
        if not nameless and not is_name(self.name):
            return "its name has not 1 to 100 printable characters"
        if not _is_http(self.url):
            return "its url is no http or https address with a ticket"
        if self.size <= 0:
            return "its size is not a number above 0"
        if _length(self.md5) != hashlib.md5(usedforsecurity=False).digest_size:
            return "its md5 is not the base64 of 16 bytes"
        if not SHA256.fullmatch(self.sha256):
            return "its sha256 is not 64 lower-case hex digits"
        if _length(self.signature) != 64:
            return "its signature is not the base64 of 64 bytes"
        return ""


def fingerprint(value: object) -> str:
    """Tells one order from another, and from itself with a new ticket."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def job_of(value: object) -> str:
    """The job that an order names, however wrong the rest of it is; "" without one."""
    return _text(value, "job") if isinstance(value, dict) else ""


def _text(fields: dict[str, object], name: str) -> str:
    """A text that UTF-8 can carry; JSON can hold half a character as well."""
    value = fields.get(name)
    if not isinstance(value, str) or any(category(one) == "Cs" for one in value):
        return ""
    return value


def _length(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return 0


def _is_http(text: str) -> bool:
    try:
        url = httpx.URL(text)
        host = url.host and url.raw_host.decode().encode("idna")  # as a look-up does
    except (httpx.InvalidURL, UnicodeError):
        return False
    there = bool(host) and (url.port or 1) < 65536 and bool(url.params.get("ticket"))
    return url.scheme in {"http", "https"} and there
