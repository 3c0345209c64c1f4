"""A CSV file as a request's body."""

from fastapi import Request

from services.api.routes.body import read_bytes
from shared.errors import UnsupportedMedia


async def read_csv_bytes(request: Request, limit: int) -> bytes:
    """The file, at most `limit` bytes. Raises UnsupportedMedia, TooSlow and TooLarge."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "text/csv":
        raise UnsupportedMedia("Send the file as the body, with the header Content-Type: text/csv.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the file as it is, without Content-Encoding.")
    return await read_bytes(request, limit)
