"""The process of one command, forked from one that has imported all this: nothing heavy here."""

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from mymote.cli import main


def run(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    paths: list[Path],
    columns: int,
    folder: Path,
) -> None:
    """Run one command, and end as it ends."""
    os.dup2(os.open(paths[0], os.O_RDONLY), 0)
    sys.stdin = open(0)  # noqa: SIM115
    if columns:
        _in_terminal(paths[1], columns)
    else:
        for number in (1, 2):
            os.dup2(os.open(paths[number], os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["mymote", *arguments]
    sys.exit(main())


def _in_terminal(transcript: Path, columns: int) -> None:
    """The child goes on in a terminal; the parent keeps what is shown, and ends as it does."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        return
    shown = b""
    try:
        while part := os.read(terminal, 65_536):
            shown += part
    except OSError:  # its last holder has closed it
        pass
    transcript.write_bytes(shown.replace(b"\r\n", b"\n"))
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
