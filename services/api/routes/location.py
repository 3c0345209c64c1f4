"""Where what a call made is to be found."""

from fastapi import Request, Response

from services.api.routes.dependencies import PREFIX


def set_location(request: Request, response: Response, path: str) -> None:
    """`path` within the account, with the key as it was sent: in the URL, or "-"."""
    response.headers["Location"] = PREFIX.format(**request.path_params) + path
