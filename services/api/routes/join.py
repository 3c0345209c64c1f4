"""The page that an invitation's link opens."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from services.api.routes.page import template

router = APIRouter(include_in_schema=False)

PATH = "/join"


@router.get(PATH)
async def join() -> HTMLResponse:
    """A form for username and password. What it sends goes to this server and nowhere else."""
    html, policy = _page()
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def link_of(request: Request, public_url: str, token: str) -> str:
    """Behind '#', since browsers send that to nobody. Without a setting, where the call went."""
    base = public_url or str(request.base_url)
    return f"{base.rstrip('/')}{PATH}#{token}"


@cache
def _page() -> tuple[str, str]:
    script = files("services.api.routes").joinpath("join.js").read_text("utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; connect-src 'self'; "
        "style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return template("join.html").substitute(script=script), policy
