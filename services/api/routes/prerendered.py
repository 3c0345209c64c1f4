"""Long replies that are the same for everybody: made and compressed once in a process."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request, Response


@dataclass(frozen=True)
class Prerendered:
    """A reply to whoever asks, so that strangers cannot keep the process busy with it."""

    plain: bytes
    small: bytes = field(repr=False)  # the same, compressed
    media_type: str
    headers: Mapping[str, str]

    @classmethod
    def of(
        cls, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> "Prerendered":
        """`headers`: more of them."""
        tag = hashlib.sha256(body).hexdigest()[:32]
        fixed = {
            # Weak, since it is the same for both encodings (RFC 9110, section 8.8.1).
            "ETag": f'W/"{tag}"',
            "Cache-Control": "no-cache",  # kept, and asked for again under its ETag
            "Vary": "Accept-Encoding",
        }
        return cls(body, gzip.compress(body), media_type, fixed | dict(headers or {}))

    def reply(self, request: Request) -> Response:
        """304 to who has it already."""
        if _has(request, self.headers["ETag"]):
            return Response(status_code=304, headers=dict(self.headers))
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {**self.headers, "Content-Encoding": "gzip"}
            return Response(self.small, headers=headers, media_type=self.media_type)
        return Response(self.plain, headers=dict(self.headers), media_type=self.media_type)


def _has(request: Request, etag: str) -> bool:
    given = request.headers.get("If-None-Match", "")
    tags = [each.strip().removeprefix("W/") for each in given.split(",")]
    return etag.removeprefix("W/") in tags or tags == ["*"]
