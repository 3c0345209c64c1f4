"""The page at `/`: what this is, and the nine calls to try."""

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from services.api.routes.page import policy_of, template

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    """A page of its own: no scripts and nothing from elsewhere."""
    base_url = escape(str(request.base_url).rstrip("/"))
    html = template("home.html").substitute(base_url=base_url)
    return HTMLResponse(html, headers={"Content-Security-Policy": policy_of()})
