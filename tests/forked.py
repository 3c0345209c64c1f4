"""Processes of our programs for tests, forked from one that has imported them already.

Python has one such server for each process that uses it, and what it imports is set once: two
modules that each set what they need leave it with the later one's, and every process of the
other's imports the SDKs anew.
"""

import multiprocessing

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["services.api.operator.cli", "mymote.cli", "mymote.api", "mymote.queue", "tests.client.child"]
)
