"""Settings of the api: where Azure is, where it listens, what a new account gets."""

from datetime import timedelta

from pydantic import Field

from shared.database import DAY_SECONDS, NOTIFICATIONS
from shared.settings import AzureSettings, ServiceSettings


class ApiSettings(AzureSettings, ServiceSettings):
    """Read once, from `MYMOTE_*`."""

    api_port: int = 8000

    # How long an account's queue knows a message id again (design.md, "Where it is kept").
    queue_duplicate_window: timedelta = timedelta(days=1)

    # How long notifications are kept; `mymote-operator provision` puts it into force.
    notification_days: int = Field(90, ge=1, le=3650)

    @property
    def ttls(self) -> dict[str, int]:
        """Seconds by the name of the container, where settings say how long items are kept."""
        return {NOTIFICATIONS.name: self.notification_days * DAY_SECONDS}
