"""What a container's indexing policy says about ORDER BY; SQLite's own indexes are apart."""

from typing import Any

from emulator.cosmos.containers import Container

Path = tuple[str | int, ...]


def is_indexed(container: Container, path: Path) -> bool:
    """Whether the policy includes the path: the most precise pattern that covers it decides."""
    policy = container.definition["indexingPolicy"]
    included = _longest(policy.get("includedPaths", []), path)
    excluded = _longest(policy.get("excludedPaths", []), path)
    return path in (("id",), ("_ts",)) or included > excluded


def serves_order(container: Container, order: list[tuple[Path, bool]]) -> bool:
    """Whether a composite index has exactly these paths in this order, or all reversed."""
    reverse = [(path, not descending) for path, descending in order]
    return any(list(index) in (order, reverse) for index in container.composite_indexes)


def _longest(patterns: Any, path: Path) -> int:
    """The precision of the best pattern that covers the path; -1 where none does."""
    best = -1
    for pattern in patterns if isinstance(patterns, list) else []:
        text = pattern.get("path", "") if isinstance(pattern, dict) else ""
        *names, last = text.strip("/").split("/")
        prefix = tuple(name.strip('"') for name in names)
        plain = tuple("[]" if isinstance(key, int) else key for key in path)
        if last == "*" and plain[: len(prefix)] == prefix:
            best = max(best, 2 * len(prefix))
        elif last == "?" and plain == prefix:
            best = max(best, 2 * len(prefix) + 1)
    return best
