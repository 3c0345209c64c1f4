"""`python -m stack`: start the command line."""

import signal

# Ctrl-C while the rest is being imported: nothing runs yet, so end at once and say nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from stack.cli import app  # noqa: E402

app(prog_name="python -m stack")
