"""The plugin that reads logs for secrets finds those that are planted."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.secrets_in_logs import find

KEY = "0f57ce3a1e2e729e262e7c9d4e4c73c236fe0328200f59b0d0db6751a4211c00"
SAS = "oca/N5hvC8X5jpRreBqSK42Qx+xAqINoMHf7oMLRF/I="

PLANTED = """
from tests.known_secrets import keep

def test_that_passes(tmp_path):
    keep({key!r})
    (tmp_path / "api.log").write_text("fine\\n" + {line!r} + "\\n")
"""


@pytest.mark.parametrize(
    ("secret", "line"),
    [
        (KEY, f'{{"message": "GET /api/user/u1/{KEY}/devices"}}'),
        (KEY, f"key={KEY}"),
        (KEY, f'{{"message": "first\\n{KEY}"}}'),
        (SAS, f"the key {SAS} is wrong"),
        (SAS, "sr=x&k=oca%2FN5hvC8X5jpRreBqSK42Qx%2BxAqINoMHf7oMLRF%2FI%3D&se=1"),
        ("correct horse", "password: correct horse"),
    ],
)
def test_known_secrets_are_found(tmp_path: Path, secret: str, line: str) -> None:
    log = tmp_path / "api.txt"  # not .log: the run itself reads those
    log.write_text(f"nothing here\n{line}\nnor here\n")
    found = list(find([log], [secret, "another-secret"]))
    assert (log, 2, secret) in [(each.file, each.line, each.secret) for each in found]
    assert not any(secret in str(each) for each in found)


@pytest.mark.parametrize(
    "line",
    [
        "Endpoint=sb://x;SharedAccessKeyName=listen;SharedAccessKey=abcdefghijkl",
        "SharedAccessSignature sr=x%2Fy&sig=abc&se=1",
        "https://x/apps/a.bin?sv=2024&sig=abcdefghijklmnop%3D",
        "Authorization: Bearer u1.abcdefghijklmnopqrstuvwxyz",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$hash",
        f"/api/user/u1/{KEY}",
    ],
)
def test_what_looks_like_a_secret_is_found(tmp_path: Path, line: str) -> None:
    log = tmp_path / "api.txt"  # not .log: the run itself reads those
    log.write_text(line)
    assert list(find([log], []))


def test_ordinary_lines_are_not(tmp_path: Path) -> None:
    log = tmp_path / "api.txt"  # not .log: the run itself reads those
    log.write_text(
        '{"route": "/api/user/{userid}/[redacted]/devices", "status": 200, "bearer": ""}\n'
        "SharedAccessKey=[redacted];SharedAccessKeyName=listen\n"
    )
    assert not list(find([log], [KEY, SAS]))


def test_a_planted_secret_fails_the_run() -> None:
    # Not in `tmp_path`, since the run itself reads the logs there.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        test = folder / "test_planted.py"
        test.write_text(PLANTED.format(key=KEY, line=f"planted {KEY}"))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.secrets_in_logs"]
        options = ["-c", os.devnull, "--rootdir", name, "--basetemp", str(folder / "temp")]
        root = Path(__file__).parents[2]
        ran = subprocess.run(
            [*command, *options, str(test)],
            cwd=root,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # quicker
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 1, ran.stdout
    assert "1 passed" in ran.stdout
    assert "api.log:2: 0f57…" in ran.stdout
    assert KEY not in ran.stdout
