"""What the pages `/` and `/docs` share: their style, and that nothing comes from elsewhere."""

from functools import cache
from importlib.resources import files
from string import Template

from fastapi.responses import HTMLResponse

# Nothing from elsewhere, no scripts.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@cache
def template(name: str) -> Template:
    """A page of this folder, with the common style in it."""
    folder = files("services.api.routes")
    style = folder.joinpath("page.css").read_text("utf-8")
    return Template(folder.joinpath(name).read_text("utf-8").replace("$style", style))


def reply(html: str) -> HTMLResponse:
    """A page that a browser lets fetch and run nothing."""
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})
