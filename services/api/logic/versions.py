"""Versions of what can be edited, so that nobody overwrites a change that they have not seen."""

import hashlib
import json

from shared.errors import Changed


def tag_of(*values: object) -> str:
    """A version of what people may edit, made of the values themselves.

    Not the database's own ETag: that one changes also with what ingest writes beside them.
    """
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_unchanged(if_match: str | None, tag: str) -> None:
    """`if_match` as `services.api.routes.etags` gives it; None asks for nothing. Raises Changed."""
    if if_match is not None and if_match not in (tag, "*"):
        raise Changed(
            "It changed in the meantime; read it again, and repeat the change with its new ETag."
        )
