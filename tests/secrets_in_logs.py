"""A pytest plugin: no log of the run holds a secret.

At the end of a run it reads each `*.log` below the run's temporary folder, where all stacks have
their state, for every secret that the run made (tests/known_secrets.py) and for what looks like
one. A finding fails the run.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests import known_secrets

MASKED_AFTER = 4  # characters that a report shows
# What opens something whatever its value; the run's own notes cannot know each signature.
PATTERNS = re.compile(
    r"SharedAccessKey=[^;\s\"\[*]{8,}"
    r"|SharedAccessSignature sr=[^\s\"]{8,}"
    r"|[?&;]sig=[A-Za-z0-9%+/=]{16,}"
    r"|AccountKey=[A-Za-z0-9+/=]{16,}"
    r"|[Bb]earer [A-Za-z0-9._~+/-]{16,}"
    r"|\$argon2[a-z]*\$[^\s\"]{8,}"
    r"|/api/user/[a-z0-9-]+/[0-9a-f]{64}"
)
_WORDS = re.compile(rf"[A-Za-z0-9]{{{known_secrets.SHORTEST},}}")


@dataclass(frozen=True)
class Finding:
    """A secret in a line of a log."""

    file: Path
    line: int
    secret: str

    def __str__(self) -> str:
        masked = f"{self.secret[:MASKED_AFTER]}… ({len(self.secret)} characters)"
        return f"{self.file}:{self.line}: {masked}"


def find(logs: Iterable[Path], secrets: Iterable[str]) -> Iterator[Finding]:
    """Each secret, as it is or percent-encoded, and each pattern, line by line."""
    by_word = _by_word(secrets)
    for log in logs:
        with log.open(errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                for secret in _secrets_of(line, by_word):
                    yield Finding(log, number, secret)


def _by_word(secrets: Iterable[str]) -> dict[str, set[str]]:
    """Secrets by their longest word: a log's words are looked up, not each secret searched."""
    by_word: dict[str, set[str]] = {}
    for secret in secrets:
        words = _WORDS.findall(secret)
        if words:
            by_word.setdefault(max(words, key=len), set()).add(secret)
    return by_word


def _secrets_of(line: str, by_word: dict[str, set[str]]) -> set[str]:
    plain = unquote(line).replace("\\n", " ").replace("\\t", " ")
    found = {match.group() for match in PATTERNS.finditer(plain)}
    for text in {line, plain}:
        for word in by_word.keys() & set(_WORDS.findall(text)):
            found |= {secret for secret in by_word[word] if secret in text}
    return found


def pytest_configure(config: pytest.Config) -> None:
    """The folder of notes; its name reaches the workers by the environment."""
    if not hasattr(config, "workerinput"):
        os.environ[known_secrets.FOLDER] = tempfile.mkdtemp(prefix="mymote-secrets-")


@pytest.hookimpl(trylast=True)  # when the workers have stopped their stacks
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        return
    folder = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    for made in (*folder.rglob("keys.json"), *folder.rglob("demo.json")):
        with contextlib.suppress(ValueError):  # a test breaks one on purpose
            known_secrets.keep_named(json.loads(made.read_text()))
    findings = list(find(folder.rglob("*.log"), known_secrets.kept()))
    shutil.rmtree(os.environ.pop(known_secrets.FOLDER))
    config.stash[_FINDINGS] = findings
    if findings:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """File and line of what was found, and not the secret."""
    findings = config.stash.get(_FINDINGS, [])
    if findings:
        terminalreporter.section("secrets in logs", red=True)
        for finding in findings[:50]:
            terminalreporter.line(str(finding), red=True)
        terminalreporter.line(f"{len(findings)} in all", red=True)


_FINDINGS = pytest.StashKey[list[Finding]]()
