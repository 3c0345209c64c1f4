"""Tests that count by days of the real clock."""

import asyncio
from datetime import UTC, datetime, timedelta


async def within_one_day(seconds: float) -> None:
    """Wait for midnight UTC where it comes within so many seconds, so that it does not come amid.

    Quotas count by day: messages on both sides of midnight are not above what one day allows.
    """
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left = (midnight - now).total_seconds()
    if left < seconds:
        await asyncio.sleep(left)
