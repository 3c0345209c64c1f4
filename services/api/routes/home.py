"""The page at `/`: what this is, and the nine calls to try."""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

# Nothing from elsewhere, no scripts.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    """A page of its own: no scripts and nothing from elsewhere."""
    page = _page().substitute(base_url=escape(str(request.base_url).rstrip("/")))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


@cache
def _page() -> Template:
    return Template(files("services.api.routes").joinpath("home.html").read_text("utf-8"))
