"""Where the local stack keeps its state and listens, from `MYMOTE_STACK_*`."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class StackSettings(BaseSettings):
    """Every port can be moved, and a stack can have a loopback address of its own."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_STACK_")

    state_dir: Path = Path(".run")
    bind: str = "127.0.0.1"
    hostname: str = "localhost"  # the name clients use; 127.0.0.n for a second stack

    api_port: int = 8000
    ota_port: int = 8001
    notify_port: int = 8002
    ingest_port: int = 8003
    mqtt_port: int = 1883
    mqtts_port: int = 8883
    amqp_port: int = 5672
    amqps_port: int = 5671
    https_port: int = 8443
    cosmos_port: int = 8081
    blob_port: int = 10000

    def azure_ports(self) -> dict[str, int]:
        """Those of them that the local Azure listens on."""
        return {
            name: value
            for name, value in self.listening_ports().items()
            if name not in {"api_port", "ota_port", "ingest_port"}
        }

    def listening_ports(self) -> dict[str, int]:
        """The ports that something of the stack listens on, by the name of their setting."""
        unused = {"notify_port"}
        return {
            name: value
            for name, value in self.model_dump().items()
            if name.endswith("_port") and name not in unused
        }
