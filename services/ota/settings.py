"""Settings of the OTA service: its keys, its limits, how long it waits."""

import binascii
from base64 import b64decode
from datetime import timedelta
from typing import Annotated

from pydantic import Field, PositiveInt, SecretStr, field_validator

from shared.settings import AzureSettings, PublicSettings

SECOND = timedelta(seconds=1)
Period = Annotated[timedelta, Field(ge=timedelta(milliseconds=50))]


class OtaSettings(AzureSettings, PublicSettings):
    """Read once, from `MYMOTE_*`. Periods are as in ISO 8601, `PT60S`."""

    ota_port: int = 8001
    # Where gateways reach it from outside; it stands in the orders that they get.
    ota_public_url: str = Field(pattern=r"^https?://[^/?#]+$")
    ota_key: SecretStr = Field(min_length=32)  # what the api proves itself with

    # Ed25519 seeds, base64 of 32 bytes. The first one signs, the public keys of all are published.
    # To rotate, put a new one in front: what a key signed cannot be ordered once it is taken away.
    ota_signing_keys: list[SecretStr] = Field(min_length=1)
    ota_ticket_key: SecretStr = Field(min_length=32)  # what tickets are made with

    ota_container: str = "artifacts"  # of Blob Storage
    ota_consumer_group: str = "ota"  # of the event stream
    ota_app_max_bytes: PositiveInt = 256 * 1024  # the X400's program memory
    ota_firmware_max_bytes: PositiveInt = 4 * 1024 * 1024

    # Downloads at once, of each process: in all (each may take 512 KiB of memory), of one account's
    # files, and of one job; a gateway needs one, and a second one while its former link dies.
    ota_downloads_at_once: PositiveInt = 500
    ota_downloads_of_account: PositiveInt = 250
    ota_downloads_of_job: PositiveInt = 2
    ota_refusals_per_minute: PositiveInt = 60  # of a kind, on the audit log, of each process
    ota_ticket_life: Period = timedelta(hours=1)
    ota_order_life: Period = timedelta(days=7)  # then a job ends, wherever it is
    # Of a gateway that is connected: until it answers, between two signs of a download's progress,
    # and until it reports the new version once it has begun to install.
    ota_answer_wait: Period = 60 * SECOND
    ota_progress_wait: Period = 300 * SECOND
    ota_install_wait: Period = 300 * SECOND
    ota_attempts: PositiveInt = 3
    ota_retry_first: Period = 10 * SECOND  # before the second attempt; each further wait doubles
    ota_jobs_kept: Period = timedelta(days=365)  # from their end
    ota_look_every: Period = 2 * SECOND  # for what is due
    ota_sweep_every: Period = 300 * SECOND  # for what interrupted uploads and deletions left

    @field_validator("ota_signing_keys")
    @classmethod
    def _seeds(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            try:
                seed = b64decode(key.get_secret_value(), validate=True)
            except (binascii.Error, ValueError):
                seed = b""
            if len(seed) != 32:
                raise ValueError("a signing key is the base64 of 32 bytes")
        return keys
