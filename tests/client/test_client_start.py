"""What makes a client pleasant: it starts quickly, and its help is whole."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from mymote import options, text
from mymote.failures import Failure
from mymote.profiles import checked_url


def test_help_imports_neither_the_http_client_nor_an_sdk() -> None:
    code = (
        "import sys; from mymote.cli import root\n"
        "try: root(['profile', 'list'], prog_name='mymote')\n"
        "except SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'httpx', 'azure', 'rich'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("given", "wanted"), [("90", 90), ("15m", 900), ("12h", 43_200), ("2W", 1_209_600), ("0", 0)]
)
def test_durations(given: str, wanted: int) -> None:
    assert options.seconds(given, "--x") == wanted


@pytest.mark.parametrize("given", ["", "1y", "-5", "1.5h", "soon", "9" * 9])
def test_what_is_no_duration(given: str) -> None:
    with pytest.raises(Failure):
        options.seconds(given, "--x")


def test_times() -> None:
    assert options.point("2026-03-01T08:00:00Z", "--x") == "2026-03-01T08:00:00+00:00"
    ago = datetime.fromisoformat(options.point("2h", "--x"))
    assert abs(datetime.now(UTC) - timedelta(hours=2) - ago) < timedelta(seconds=10)
    for given in ("yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "99999999w"):
        with pytest.raises(Failure):
            options.point(given, "--x")


def test_addresses() -> None:
    assert checked_url(" mymote.example.com/ ") == "https://mymote.example.com"
    assert checked_url("http://localhost:8000") == "http://localhost:8000"
    for given in ("", "ftp://x", "https://", "https://u@x", "https://x?y"):
        with pytest.raises(Failure):
            checked_url(given)


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    shown = text.line({"a": "\x1b[2J\n", "b": ["\r", 1]})
    assert not re.search(r"[\x00-\x1f\x7f]", shown)
    assert text.line(["a\tb", None, True]) == "a\\tb, , yes"
    assert text.cells("世界") == 4
