"""A .bin in a request's body: passed on as it comes, never held whole."""

from typing import Annotated

from fastapi import Header, Request

from services.ota.logic.uploads import Incoming
from shared.bodies import content_length, content_md5, pieces
from shared.errors import UnsupportedMedia

# Of one piece, and of the whole: longer than the api waits for its client.
PIECE_SECONDS = 30.0
WHOLE_SECONDS = 900.0

ContentMd5 = Annotated[str | None, Header(alias="Content-MD5")]


def read_binary(request: Request, limit: int, md5: str | None) -> Incoming:
    """The body, which is read as it is stored; `limit` is in bytes.

    Raises UnsupportedMedia, InvalidRequest; reading it raises TooSlow and ClientDisconnect.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise UnsupportedMedia(
            "Send the .bin as it is, with the header Content-Type: application/octet-stream."
        )
    chunks = pieces(request, piece_seconds=PIECE_SECONDS, whole_seconds=WHOLE_SECONDS)
    return Incoming(chunks, content_length(request), content_md5(md5), limit)
