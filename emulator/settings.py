"""Settings of the local Azure, from environment variables `MYMOTE_EMULATOR_*`."""

import base64
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class EmulatorSettings(BaseSettings):
    """Where the local Azure listens, keeps its state, and which keys open it."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_EMULATOR_")

    state_dir: Path = Path(".run/azure")
    bind: str = "127.0.0.1"
    hostname: str = "localhost"  # the name clients use, and the IoT Hub's host name

    mqtt_port: int = 1883
    mqtts_port: int = 8883
    amqp_port: int = 5672
    amqps_port: int = 5671
    https_port: int = 8443
    cosmos_port: int = 8081
    blob_port: int = 10000

    event_hub: str = "mymote"  # the stream that IoT Hub routes to
    event_hub_partitions: int = 4
    event_hub_consumer_groups: tuple[str, ...] = ()  # besides $Default
    event_hub_retention_hours: float = 24

    # Faults, for tests of what must stand them; a rate is from 0 (never) to 1 (always).
    # IoT Hub routes at least once: after this share of a device's events, its last ones, up to
    # so many, are in the stream once more (1, 2, 1, 2, 3).
    fault_repeats: float = Field(0, ge=0, le=1)
    fault_repeated_events: int = Field(5, ge=1)
    # The network: this share of QoS 1 publishes is stored, but the connection ends unanswered.
    fault_lost_pubacks: float = Field(0, ge=0, lt=1)
    fault_seed: int = 0  # the same seed, the same faults for the same messages of a device

    # Bytes that count as a megabyte of a queue's size; with few, a test can fill a queue.
    servicebus_megabyte: int = Field(1 << 20, ge=1)

    # The folder of npm's package azurite; without it node_modules/azurite.
    azurite: Path | None = None

    # Service Bus and Event Hubs: the rule RootManageSharedAccessKey of the namespace.
    servicebus_key: SecretStr
    # IoT Hub: base64 of the key of the policy iothubowner.
    iothub_key: SecretStr
    # Cosmos DB: base64 of the account's key.
    cosmos_key: SecretStr
    # Blob: base64 of the key of the account devstoreaccount1.
    blob_key: SecretStr

    @field_validator("iothub_key", "cosmos_key", "blob_key")
    @classmethod
    def _is_base64(cls, key: SecretStr) -> SecretStr:
        try:
            base64.b64decode(key.get_secret_value(), validate=True)
        except ValueError:
            raise ValueError("the key must be base64") from None
        return key
