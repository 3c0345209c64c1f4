"""`python -m mymote`, and what `mymote` starts."""

import signal
import sys

# Ctrl-C while the rest is being imported: nothing runs yet, so end at once and say nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from mymote.cli import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    sys.exit(main())
