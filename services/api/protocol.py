"""HTTP as uvicorn reads it, with the contract's answer to what is no HTTP at all."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.schemas.contract import Error

MALFORMED = "This is no HTTP/1.1 request; a path's special characters must be percent-encoded."


class Protocol(HttpToolsProtocol):
    """No application sees what cannot be parsed, so the ERROR body is written here."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are plain text
        """The whole reply; the connection is closed."""
        body = Error(error=MALFORMED).model_dump_json().encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "cache-control: no-store\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
