"""What the pages `/` and `/docs` share: their style, and that nothing comes from elsewhere."""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from string import Template

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


def policy_of(script: str = "") -> str:
    """The policy by which a browser fetches nothing, and runs this very script and no other."""
    if not script:
        return POLICY
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{POLICY}; script-src 'sha256-{digest}'"
