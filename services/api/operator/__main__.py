"""`mymote-operator`, which `make run` makes; or `python -m services.api.operator`."""

import signal

# Ctrl-C while the rest is being imported: nothing was done yet, so end at once and say nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from services.api.operator.cli import app  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    app(prog_name="mymote-operator")
