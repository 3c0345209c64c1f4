"""Settings of the api: where Azure is, where it listens, what a new account gets."""

from datetime import timedelta

from pydantic import ValidationError

from shared.settings import AzureSettings, ServiceSettings


class ApiSettings(AzureSettings, ServiceSettings):
    """Read once, from `MYMOTE_*`."""

    api_port: int = 8000

    # How long an account's queue knows a message id again (design.md, "Where it is kept").
    queue_duplicate_window: timedelta = timedelta(days=1)


class Misconfigured(Exception):
    """Settings are missing or wrong; the message names them, and no value."""


def load_settings() -> ApiSettings:
    """The settings in the environment. Raises Misconfigured."""
    try:
        return ApiSettings()
    except ValidationError as error:
        # Not pydantic's own words: they repeat the values, and those are secrets.
        names = {f"MYMOTE_{problem['loc'][0]}".upper() for problem in error.errors()}
        raise Misconfigured(
            f"These settings are missing or wrong: {', '.join(sorted(names))}."
        ) from None
