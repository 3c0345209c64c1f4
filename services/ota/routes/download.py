"""Downloads: the part of the service that gateways and the internet reach."""

from base64 import b64encode
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from services.ota.logic import proof
from services.ota.logic.downloads import File, TicketCall
from services.ota.logic.ranges import NotModified, OtherFile, Part, Unsatisfiable, part_of
from services.ota.resources import Resources
from services.ota.routes.refusing import client_address, noted
from services.ota.routes.sending import Sending
from shared.replies import error_response

KEY_HEADER = "X-Download-Key"

router = APIRouter()
_METHODS = ["GET", "HEAD"]


@router.api_route("/download/{filepath:path}", methods=_METHODS)
async def download_by_key(request: Request, filepath: str) -> Response:
    """A file, for whoever has its key."""
    key = request.headers.get(KEY_HEADER) or request.query_params.get("key", "")
    resources: Resources = request.app.state.resources
    async with noted(request):
        file = await resources.downloads.by_key(filepath, key, client_address(request))
    return _reply(request, file)


@router.api_route("/devices/{device_id}/jobs/{job_id}/file", methods=_METHODS)
async def download_by_ticket(request: Request, device_id: str, job_id: str) -> Response:
    """A job's file, for the device that it is for."""
    call = TicketCall(
        method=request.method,
        device_id=device_id,
        job_id=job_id,
        ticket=request.query_params.get("ticket", ""),
        proof=request.headers.get(proof.HEADER, ""),
        now=datetime.now(UTC),
    )
    resources: Resources = request.app.state.resources
    async with noted(request):
        file = await resources.downloads.by_ticket(call)
    return _reply(request, file, device_id=device_id, job_id=job_id)


def _reply(request: Request, file: File, **logged: str) -> Response:
    """`logged`: ids that were proven to exist."""
    size = file.blob.size
    headers = _headers(file)
    try:
        part = part_of(request.method, request.headers, file.etag, size)
    except NotModified:
        return Response(status_code=304, headers=headers)
    except OtherFile:
        sentence = "If-Match is of another file than this one."
        return error_response(412, sentence, {"ETag": file.etag})
    except Unsatisfiable:
        sentence = f"The file has {size} bytes, and none of this range."
        return error_response(416, sentence, {"Content-Range": f"bytes */{size}"})
    if part is None:
        headers["Content-MD5"] = file.md5  # of the whole, and only where the body is that
    else:
        headers["Content-Range"] = part.content_range(size)
    sent = part or Part(0, size)
    headers["Content-Length"] = str(sent.length)
    request.state.logged = {**logged, "first_byte": sent.first, "bytes": 0}
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=Sending.media_type)
    return Sending(request, file, sent, status, headers)


def _headers(file: File) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    return {
        "Accept-Ranges": "bytes",
        "ETag": file.etag,
        "Digest": f"sha-256={digest}",  # RFC 3230, which simple clients know
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530, which followed it
        "Cache-Control": "private, no-store",
    }
