"""What the pages `/` and `/docs` share: their style, and that nothing comes from elsewhere."""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from string import Template

from fastapi.responses import HTMLResponse

# Nothing from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@cache
def inline(name: str) -> str:
    """A file of this folder that stands within a page."""
    return files("services.api.routes").joinpath(name).read_text("utf-8")


@cache
def template(name: str) -> Template:
    """A page of this folder, with the common style in it."""
    return Template(inline(name).replace("$style", inline("page.css")))


def reply(html: str, script: str = "") -> HTMLResponse:
    """A page that a browser lets fetch nothing, and run this very script and no other."""
    policy = POLICY
    if script:
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})
