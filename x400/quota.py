"""The daily quota: pure functions of the settings, of what was counted, and of the day."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from x400.messages import Kind
from x400.settings import GatewaySettings

# A day counted within this span ahead still binds after the clock went back: setting a clock
# back buys no messages. One farther ahead came from a clock that was plainly wrong.
AHEAD = timedelta(days=30)


def limits(settings: GatewaySettings) -> dict[Kind, int]:
    """How many messages of each kind a day takes; management counts against none."""
    return {
        Kind.DATA: settings.daily_messages,
        Kind.NOTIFICATION: settings.daily_notifications,
    }


def utc_day(now: float) -> date:
    """The UTC day of a Unix time in seconds."""
    return datetime.fromtimestamp(now, UTC).date()


def used(counts: Mapping[date, int], today: date) -> int:
    """How much of today's quota is used, given how many messages each day counted."""
    return max((n for day, n in counts.items() if today <= day <= today + AHEAD), default=0)


def seconds_left(now: float) -> float:
    """Seconds until the next UTC midnight, when a new quota begins."""
    return 86400 - now % 86400
