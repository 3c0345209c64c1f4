"""Durations and times as the administration REST writes them (XML Schema's dialect)."""

import re
from datetime import UTC, datetime

# .NET TimeSpan.MaxValue, which Service Bus uses for "never": 10675199.02:48:05.4775807.
FOREVER_MS = 922_337_203_685_477
FOREVER = "P10675199DT2H48M5.4775807S"

_DURATION = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?=\d)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_MAX_LENGTH = 64


def parse_duration(text: str) -> int:
    """Milliseconds of `PT1M30S` or `P7D`, at most FOREVER_MS. Raises ValueError.

    Months and years have no fixed length, so they are refused.
    """
    match = _DURATION.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    parts = {unit: value for unit, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise ValueError(f"'{text[:_MAX_LENGTH]}' is not an ISO 8601 duration such as PT1M or P7D")
    milliseconds = sum(float(value) * _UNITS_MS[unit] for unit, value in parts.items())
    return min(round(milliseconds), FOREVER_MS)


def format_duration(milliseconds: int) -> str:
    """`PT1M30S` for 90,000; FOREVER for FOREVER_MS and beyond."""
    if milliseconds >= FOREVER_MS:
        return FOREVER
    days, rest = divmod(milliseconds, _UNITS_MS["d"])
    hours, rest = divmod(rest, _UNITS_MS["h"])
    minutes, rest = divmod(rest, _UNITS_MS["m"])
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".") if rest else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    date = f"{days}D" if days else ""
    if not date and not time:
        return "PT0S"
    return f"P{date}" + (f"T{time}" if time else "")


def format_time(milliseconds: int) -> str:
    """Unix milliseconds as `2026-01-31T12:00:00.123Z`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03}Z"
