"""Settings of a virtual gateway, from `MYMOTE_X400_*` or from the command line's options."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from x400.credentials import DeviceCredentials
from x400.ota_trust import key_id

MQTT_PORT = 1883
MQTTS_PORT = 8883


class GatewaySettings(BaseSettings):
    """One gateway: its identity, its hub, its limits. Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_X400_")

    connection_string: SecretStr | None = None
    connection_string_file: Path | None = None
    device_key: SecretStr = SecretStr("")
    device_key_file: Path | None = None
    state: Path = Path(".run/x400")

    port: int | None = Field(default=None, gt=0, lt=65536)  # wins over the connection string's
    plain: bool = False  # MQTT without TLS: for a hub on this machine only
    ca_file: Path | None = None

    daily_messages: int = Field(default=100, ge=0)
    daily_notifications: int = Field(default=100, ge=0)
    storage_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    # "full" survives a power cut (one fsync for each message), "normal" a killed process.
    durability: Literal["full", "normal"] = "full"
    acknowledgement_log: Path | None = None  # JSON lines of `x400.journal`

    window: int = Field(default=10, ge=1, le=100)  # publishes in flight
    sas_ttl: float = Field(default=3600, ge=4)
    keep_alive: int = Field(default=60, ge=5, le=1177)
    connect_timeout: float = Field(default=5, gt=0)
    backoff_initial: float = Field(default=1, gt=0)
    backoff_maximum: float = Field(default=60, gt=0)
    network_delay: float = Field(default=0.2, ge=0)  # cable in, until the network is up
    fault_reset: float = Field(default=60, gt=0)  # hardware fault, until the gateway resets

    # Updates over the air: whose signatures are believed (base64 of Ed25519 public keys, a JSON
    # list in the environment), and what fits into the memories.
    ota_public_keys: list[str] = []
    ota_ca_file: Path | None = None  # of the server of binaries; default: `ca_file`
    ota_app_bytes: int = Field(default=256 * 1024, gt=0)
    ota_firmware_bytes: int = Field(default=4 * 1024 * 1024, gt=0)
    ota_timeout: float = Field(default=30, gt=0)  # for the next bytes of a download
    ota_tries: int = Field(default=6, gt=0)  # in a row that get no further
    ota_bytes_per_second: int = Field(default=0, ge=0)  # of a slow network; 0: as it comes
    install_time: float = Field(default=2, ge=0)
    power_loss: float = Field(default=5, ge=0)  # how long the power stays away

    fwversion: str = "1.0.0"
    model: str = "X400"  # reported as `type`
    connectivity: Literal["ethernet", "modem"] = "ethernet"
    iccid: str = ""

    @field_validator("ota_public_keys")
    @classmethod
    def _are_keys(cls, keys: list[str]) -> list[str]:
        for key in keys:
            key_id(key)
        return keys

    def credentials(self) -> DeviceCredentials:
        """The identity given by value or by file. Raises ValueError with what to do."""
        text = _secret(self.connection_string, self.connection_string_file)
        if not text:
            raise ValueError(
                "no connection string: set MYMOTE_X400_CONNECTION_STRING, or name a file that "
                "holds it with --connection-string-file"
            )
        return DeviceCredentials.parse(text)

    def key(self) -> str:
        """The device key that the owner enters to pair the gateway; "" where none was given."""
        return _secret(self.device_key, self.device_key_file)

    def hub_port(self, credentials: DeviceCredentials) -> int:
        """The port to connect to."""
        return self.port or credentials.port or (MQTT_PORT if self.plain else MQTTS_PORT)


def _secret(value: SecretStr | None, file: Path | None) -> str:
    if value is not None and value.get_secret_value():
        return value.get_secret_value().strip()
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
