"""Settings that every service needs: where Azure is. Read once, from `MYMOTE_*`.

A value is either a connection string (one machine, or keys) or a bare host name, and then the
service's managed identity opens it. Nothing else differs between one machine and the cloud.
"""

import re
from pathlib import Path
from typing import TypeVar

from pydantic import Field, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

S = TypeVar("S", bound=BaseSettings)


class AzureSettings(BaseSettings):
    """How to reach Azure, or the local one."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_")

    cosmos_endpoint: str
    cosmos_key: SecretStr | None = None  # absent: managed identity
    cosmos_database: str = "mymote"

    # Connection string of the hub with its EntityPath, or "{namespace host}/{event hub}".
    eventhub: SecretStr
    eventhub_consumer_group: str = "$Default"

    # Connection string with the service's policy, or the hub's host name.
    iothub: SecretStr
    iothub_amqp_port: int = 5671  # cloud to device; in the cloud always 5671

    # Name of each namespace, and its connection string or host name.
    servicebus_namespaces: dict[str, SecretStr] = Field(min_length=1)
    servicebus_administration_port: int | None = None  # the local one has a port of its own

    blob: SecretStr  # connection string, or the account's https URL
    blob_checkpoints: str = "checkpoints"  # the container in which partitions are shared out

    ca_file: Path | None = None  # trusts the local Azure's certificate


class ServiceSettings(BaseSettings):
    """How a service presents itself."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_")

    bind: str = "127.0.0.1"
    log_level: str = "INFO"


class PublicSettings(ServiceSettings):
    """How a service meets strangers."""

    # Addresses or networks, comma-separated, whose X-Forwarded-For says who calls. Behind a proxy
    # that is not named here, all who call have its address, and one who guesses slows down all.
    trusted_proxies: str = ""

    # Of an address, looked up by each process; then only keys that were right before are, and the
    # others get 429 (shared/wrong_keys.py).
    wrong_keys_per_minute: PositiveInt = 300


class Misconfigured(Exception):
    """Settings are missing or wrong; the message names them, and no value."""


def load_settings(kind: type[S]) -> S:
    """The settings in the environment. Raises Misconfigured.

    Its words are not pydantic's: those repeat the values, and some are secrets.
    """
    try:
        return kind()
    except ValidationError as error:
        names = {str(problem["loc"][0]) for problem in error.errors()}
    except SettingsError as error:  # a value that must be JSON and is not
        names = set(re.findall(r'field "(\w+)"', str(error)))
    prefix = kind.model_config["env_prefix"]
    shown = ", ".join(sorted(f"{prefix}{name}".upper() for name in names))
    raise Misconfigured(f"These settings are missing or wrong: {shown}.")
