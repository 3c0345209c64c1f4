"""Pieces of HTML that the reference is made of."""

import json
import re
from html import escape


def row(name: str, value: str) -> str:
    """A row of a table; `value` is HTML."""
    return f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{value}</td></tr>'


def paragraphs(text: str) -> str:
    """Descriptions, as docstrings have them."""
    return "".join(f"<p>{prose(part)}</p>" for part in text.strip().split("\n\n") if part)


def prose(text: str) -> str:
    """Descriptions are Markdown; of that, they use back-ticks alone."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def example(value: object) -> str:
    """JSON, folded away where it is long."""
    text = escape(json.dumps(value, indent=2, ensure_ascii=False))
    if text.count("\n") <= 3:
        return f"<pre>{text}</pre>"
    return f"<details><summary>Example</summary><pre>{text}</pre></details>"
