"""The tests do the same whether a terminal or a script's background started them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERRUPT_A_CHILD = """
import signal, subprocess, sys
import tests.conftest
child = subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
child.send_signal(signal.SIGINT)
try:
    child.wait(10)
finally:
    child.kill()
"""


def test_what_a_test_starts_hears_ctrl_c_in_a_run_that_was_told_to_ignore_it() -> None:
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    ended = subprocess.run(
        [*ignoring, sys.executable, "-c", INTERRUPT_A_CHILD],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
