"""Notifications as ingest leaves them, for tests in which it does not run."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from services.api.resources import Resources
from shared.schemas.documents import Notification

DEVICE_A = f"X400_{'a' * 40}"
DEVICE_B = f"X400_{'b' * 40}"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


async def put_notifications(
    resources: Resources, user_id: str, count: int = 1, **changes: Any
) -> list[Notification]:
    """One for each second from START on, oldest first."""
    made = [
        Notification(
            id=secrets.token_hex(16),
            user_id=user_id,
            device_id=DEVICE_A,
            device_name="Pump",
            level=1 + number % 3,
            text=f"number {number}",
            created_at=START,
            enqueued_at=START + timedelta(seconds=number),
        ).model_copy(update=changes)
        for number in range(count)
    ]
    container = resources.notifications.container
    await asyncio.gather(*(container.create_item(each.model_dump(mode="json")) for each in made))
    return made
