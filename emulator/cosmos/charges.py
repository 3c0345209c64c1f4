"""Request charges in request units (RU).

From "Optimize request cost in Azure Cosmos DB": a point read costs 1 RU at 1 KB and 10 RU
at 100 KB, a write 5 and 50; strong and bounded staleness double every read; a replace costs
about two times an insert. Between the documented sizes the charge is taken as linear. A
query's charge depends on the work done; its constants here are estimates of the size that
accounts report: a base, a share for each document loaded and for each KB returned.
"""

KB = 1024
QUERY_BASE = 2.3
CROSS_PARTITION_BASE = 2.5  # what every physical partition asked adds; the emulator has one
DOCUMENT_LOADED = 0.03
KB_RETURNED = 0.03
METADATA = 1.0


def read(size: int, *, strong: bool) -> float:
    """A point read of an item of `size` bytes; one that finds nothing costs as 1 KB."""
    return _between(size, 1.0, 10.0) * (2 if strong else 1)


def insert(size: int) -> float:
    """Create, or an upsert that creates."""
    return _between(size, 5.0, 50.0)


def replace(size: int) -> float:
    """Replace, patch, or an upsert that replaces."""
    return 2 * insert(size)


def delete(size: int) -> float:
    """Delete: the index entries are removed as they were made."""
    return insert(size)


def query(*, loaded: int, returned_bytes: int, cross_partition: bool, strong: bool) -> float:
    """One page of a query, of read all, or of the change feed."""
    base = QUERY_BASE + (CROSS_PARTITION_BASE if cross_partition else 0)
    work = base + loaded * DOCUMENT_LOADED + returned_bytes / KB * KB_RETURNED
    return work * (2 if strong else 1)


def _between(size: int, at_1_kb: float, at_100_kb: float) -> float:
    kilobytes = max(1.0, size / KB)
    return at_1_kb + (at_100_kb - at_1_kb) * (kilobytes - 1) / 99
