"""The store where something fails: nothing is acknowledged that is not on the disk."""

import subprocess
import sys
from pathlib import Path

from emulator.store import EXIT_STORE_FAILED, Store

FULL_DISK = """
import asyncio, sys
from pathlib import Path
from emulator.store import Store

async def main():
    store = Store(Path(sys.argv[1]))
    store.create("CREATE TABLE t (x BLOB)")
    store.read("PRAGMA max_page_count = 20")  # as good as a full disk
    while True:
        store.write("INSERT INTO t VALUES (?)", (bytes(1000),))
        await store.durable()
        print("acknowledged", flush=True)

asyncio.run(main())
"""


def test_a_full_disk_ends_the_process_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "azure.db"
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == EXIT_STORE_FAILED
    assert b"cannot write the store" in ended.stderr
    acknowledged = ended.stdout.count(b"acknowledged")
    store = Store(path)
    assert store.read("SELECT COUNT(*) FROM t").fetchone() == (acknowledged,)
    store.close()
    assert acknowledged > 0


async def test_one_that_fails_after_a_commit_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "azure.db")
    told: list[str] = []
    store.when_durable(lambda: told.append("before"))
    store.when_durable(lambda: told.append(str(1 / 0)))
    store.when_durable(lambda: told.append("after"))
    store.commit()
    assert told == ["before", "after"]
    store.close()
