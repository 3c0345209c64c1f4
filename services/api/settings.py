"""Settings of the api: where Azure is, where it listens, what a new account gets."""

from datetime import timedelta

from pydantic import Field, PositiveInt, SecretStr, ValidationInfo, field_validator

from shared.database import AUDIT, DAY_SECONDS, NOTIFICATIONS
from shared.settings import AzureSettings, PublicSettings


class ApiSettings(AzureSettings, PublicSettings):
    """Read once, from `MYMOTE_*`."""

    api_port: int = 8000

    # Where people reach the api from outside, for links; "" is wherever a call went.
    public_url: str = ""

    # How long an account's queue knows a message id again (design.md, "Where it is kept").
    queue_duplicate_window: timedelta = timedelta(days=1)

    # A Standard namespace takes about as many (design.md, "Where it is kept").
    accounts_per_namespace: PositiveInt = 2000

    # What opens /api/operator, 32 characters at least; absent: nothing does.
    operator_key: SecretStr | None = Field(None, min_length=32)

    # The OTA service and the secret that it shares with the api; absent: there is none.
    ota_url: str = Field("", pattern=r"^$|^https?://[^/?#]+/?$")
    ota_key: SecretStr | None = Field(None, min_length=32, validate_default=True)
    upload_max_bytes: PositiveInt = 16 * 1024 * 1024  # of a .bin on its way to it

    # How long these are kept; `mymote-operator provision` puts it into force.
    notification_days: int = Field(90, ge=1, le=3650)
    audit_days: int = Field(365, ge=1, le=3650)

    # A session ends so long after it was last used, and so long after it began.
    session_idle: timedelta = Field(timedelta(days=7), ge=timedelta(minutes=1))
    session_longest: timedelta = Field(timedelta(days=30), ge=timedelta(minutes=1))

    # What hashing one password takes (Argon2id); two are hashed at a time.
    password_memory_kib: int = Field(64 * 1024, ge=32, le=4 * 1024 * 1024)

    # Calls a minute that each process of the api answers (shared/rate_limit.py).
    calls_per_minute: PositiveInt = 600  # of an API key or session
    writes_per_minute: PositiveInt = 120  # of these, calls that change or order something
    strangers_per_minute: PositiveInt = 30  # of an address: wrong keys, signing in

    @field_validator("ota_key")
    @classmethod
    def _both_or_none(cls, key: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if key is None and others.data.get("ota_url"):
            raise ValueError("the OTA service's url is set, and its key is not")
        return key

    @property
    def ttls(self) -> dict[str, int]:
        """Seconds by the name of the container, where settings say how long items are kept."""
        return {
            NOTIFICATIONS.name: self.notification_days * DAY_SECONDS,
            AUDIT.name: self.audit_days * DAY_SECONDS,
        }
