"""Time as IoT Hub writes it."""

from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"

_TICKS_AT_UNIX_EPOCH = 621_355_968_000_000_000  # .NET ticks of 100 ns


def iso(unix_seconds: float) -> str:
    """`2026-01-31T12:00:00.123456Z`; `NEVER` for 0."""
    if not unix_seconds:
        return NEVER
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def ticks(unix_nanoseconds: int) -> int:
    """.NET ticks, in which IoT Hub counts generations."""
    return unix_nanoseconds // 100 + _TICKS_AT_UNIX_EPOCH
