"""Settings of the api: where Azure is, where it listens, what a new account gets."""

from datetime import timedelta

from shared.settings import AzureSettings, ServiceSettings


class ApiSettings(AzureSettings, ServiceSettings):
    """Read once, from `MYMOTE_*`."""

    api_port: int = 8000

    # How long an account's queue knows a message id again (design.md, "Where it is kept").
    queue_duplicate_window: timedelta = timedelta(days=1)
