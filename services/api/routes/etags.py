"""ETag and If-Match (RFC 9110, sections 8.8.3 and 13.1.1)."""

from typing import Annotated

from fastapi import Depends, Header, Response


def if_match(
    header: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="The `ETag` of what was read: where it changed since, nothing is done.",
        ),
    ] = None,
) -> str | None:
    """The tag without quotes; None where no condition is made."""
    return header.strip().removeprefix("W/").strip('"') if header is not None else None


IfMatch = Annotated[str | None, Depends(if_match)]


def set_etag(response: Response, tag: str) -> None:
    """The version of what the reply shows."""
    response.headers["ETag"] = f'"{tag}"'
