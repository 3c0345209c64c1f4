"""Logs of JSON lines, read while their process writes them."""

import json
from pathlib import Path
from typing import Any


def log_lines(log: Path, about: str) -> list[dict[str, Any]]:
    """The lines that hold a text; one that is not whole yet is left for the next look."""
    with log.open(errors="replace") as lines:
        return [
            json.loads(line)
            for line in lines
            if about in line and line.startswith("{") and line.endswith("\n")
        ]
