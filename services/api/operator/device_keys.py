"""Device keys as commands take them: not on the command line, where every user of the machine
can read them and shells keep them."""

import sys
from getpass import getpass

FROM_INPUT = "-"


def read_device_key(given: str) -> str:
    """`given`, or a line of standard input where it is "-"; asked for where that is a terminal."""
    if given != FROM_INPUT:
        return given
    if sys.stdin.isatty():
        return getpass("Device key (it is not shown): ").strip()
    return sys.stdin.readline().strip()
