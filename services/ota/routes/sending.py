"""Sending a file as fast as its reader takes it, and no faster."""

import asyncio
import logging
from collections.abc import Mapping

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.ota.logic.downloads import Downloads, File
from services.ota.logic.ranges import Part
from services.ota.routes.refusing import noted
from shared.errors import MyMoteError

log = logging.getLogger(__name__)

BYTES = Counter("mymote_ota_download_bytes", "Bytes of files that were sent")

STALLED_SECONDS = 300.0  # without room for another piece; 2G takes one in a minute


class Sending(StreamingResponse):
    """A part of a file. Sending it raises TooMany and Unavailable where too many are under way.

    Where it cannot go on, the reply ends short of its Content-Length, and the reader resumes from
    there. How many bytes were sent is kept in `request.state.logged`; of a reader that hung up, a
    piece or two of them may not have arrived.
    """

    media_type = "application/octet-stream"

    def __init__(
        self, request: Request, file: File, part: Part, status: int, headers: Mapping[str, str]
    ) -> None:
        downloads: Downloads = request.app.state.resources.downloads
        content = downloads.content(file, part)
        super().__init__(content, status_code=status, headers=headers)
        self._request = request
        self._places = downloads.places
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        account, job_id = self._file.concerned.user_id, self._file.job_id
        try:
            async with asyncio.timeout(None) as life:
                with self._places.taken(account, job_id, lambda: life.reschedule(0)):
                    await super().__call__(scope, receive, send)
        except TimeoutError:
            why = "its gateway has come back for the file more than once since"
            log.info("a download was cut off", extra={"error": why, "job_id": job_id})

    async def stream_response(self, send: Send) -> None:
        """ASGI, as Starlette calls it; cancelled where the reader hangs up."""
        try:
            async with noted(self._request):
                await self._stream(send)
        except MyMoteError as error:
            log.warning("a download was cut off", extra={"error": str(error)})
        except TimeoutError:
            log.warning("a download was cut off", extra={"error": "its reader takes nothing"})

    async def _stream(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        async for piece in self.body_iterator:
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            # The server drops what is sent after the reader hung up, and says nothing: whoever
            # listens for that cancels this here.
            await asyncio.sleep(0)
            BYTES.inc(len(piece))
            self._request.state.logged["bytes"] += len(piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
