"""The environment of each process: all that tells one machine from the cloud."""

import base64
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stack.keys import Keys
from stack.settings import StackSettings

EVENT_HUB = "mymote"
NAMESPACE = "local"
OTA_GROUP = "ota"  # the consumer group in which the OTA service reads


@dataclass(frozen=True)
class Endpoints:
    """The local Azure's addresses and connection strings."""

    settings: StackSettings
    keys: Keys

    @property
    def api_url(self) -> str:
        return f"http://{self.settings.hostname}:{self.settings.api_port}"

    @property
    def ota_url(self) -> str:
        return f"http://{self.settings.hostname}:{self.settings.ota_port}"

    @property
    def ingest_url(self) -> str:
        return f"http://{self.settings.hostname}:{self.settings.ingest_port}"

    @property
    def servicebus(self) -> str:
        return (
            f"Endpoint=sb://{self.settings.hostname}:{self.settings.amqp_port};"
            f"SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={self.keys.servicebus};UseDevelopmentEmulator=true;"
        )

    @property
    def eventhub(self) -> str:
        return f"{self.servicebus}EntityPath={EVENT_HUB}"

    @property
    def iothub(self) -> str:
        return (
            f"HostName={self.settings.hostname}:{self.settings.https_port};"
            f"SharedAccessKeyName=iothubowner;SharedAccessKey={self.keys.iothub}"
        )

    @property
    def cosmos(self) -> str:
        return f"http://{self.settings.hostname}:{self.settings.cosmos_port}"

    @property
    def blob(self) -> str:
        return (
            "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
            f"AccountKey={self.keys.blob};"
            f"BlobEndpoint=http://{self.settings.hostname}:{self.settings.blob_port}"
            "/devstoreaccount1;"
        )

    @property
    def ota_public_key(self) -> str:
        """What gateways check signatures with: base64 of an Ed25519 public key."""
        seed = base64.b64decode(self.keys.ota_signing)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        return base64.b64encode(public.public_bytes_raw()).decode()

    @property
    def ca_file(self) -> str:
        return str((self.settings.state_dir / "azure" / "ca.pem").resolve())


def emulator_environment(settings: StackSettings, keys: Keys) -> dict[str, str]:
    """For `python -m emulator`."""
    ports = {name: str(port) for name, port in settings.azure_ports().items()}
    values = ports | {
        "state_dir": str(settings.state_dir / "azure"),
        "bind": settings.bind,
        "hostname": settings.hostname,
        "event_hub": EVENT_HUB,
        "event_hub_consumer_groups": json.dumps([OTA_GROUP]),
        "servicebus_key": keys.servicebus,
        "iothub_key": keys.iothub,
        "cosmos_key": keys.cosmos,
        "blob_key": keys.blob,
    }
    return {f"MYMOTE_EMULATOR_{name.upper()}": value for name, value in values.items()}


def service_environment(endpoints: Endpoints) -> dict[str, str]:
    """For every service and for the operator's tool."""
    settings = endpoints.settings
    return {
        "MYMOTE_BIND": settings.bind,
        "MYMOTE_API_PORT": str(settings.api_port),
        "MYMOTE_INGEST_PORT": str(settings.ingest_port),
        "MYMOTE_COSMOS_ENDPOINT": endpoints.cosmos,
        "MYMOTE_COSMOS_KEY": endpoints.keys.cosmos,
        "MYMOTE_EVENTHUB": endpoints.eventhub,
        "MYMOTE_IOTHUB": endpoints.iothub,
        "MYMOTE_IOTHUB_AMQP_PORT": str(settings.amqps_port),
        "MYMOTE_SERVICEBUS_NAMESPACES": json.dumps({NAMESPACE: endpoints.servicebus}),
        "MYMOTE_SERVICEBUS_ADMINISTRATION_PORT": str(settings.https_port),
        "MYMOTE_BLOB": endpoints.blob,
        "MYMOTE_CA_FILE": endpoints.ca_file,
    }


def ota_environment(endpoints: Endpoints) -> dict[str, str]:
    """For the OTA service besides `service_environment`."""
    return {
        "MYMOTE_OTA_PORT": str(endpoints.settings.ota_port),
        "MYMOTE_OTA_PUBLIC_URL": endpoints.ota_url,
        "MYMOTE_OTA_KEY": endpoints.keys.ota,
        "MYMOTE_OTA_SIGNING_KEYS": json.dumps([endpoints.keys.ota_signing]),
        "MYMOTE_OTA_TICKET_KEY": endpoints.keys.ota_tickets,
        "MYMOTE_OTA_CONSUMER_GROUP": OTA_GROUP,
    }


def to_ota_environment(endpoints: Endpoints) -> dict[str, str]:
    """For the api and the operator's tool, where there is an OTA service."""
    return {"MYMOTE_OTA_URL": endpoints.ota_url, "MYMOTE_OTA_KEY": endpoints.keys.ota}


def api_environment(endpoints: Endpoints) -> dict[str, str]:
    """For the api of a whole platform besides `service_environment`."""
    return to_ota_environment(endpoints) | {"MYMOTE_OPERATOR_KEY": endpoints.keys.operator_key}


def gateway_environment(endpoints: Endpoints, connection: str, device_key: str) -> dict[str, str]:
    """For `python -m x400 run`: its secrets travel in the environment, not in its arguments."""
    settings = endpoints.settings
    return {
        "MYMOTE_X400_STATE": str(settings.state_dir / "x400"),
        "MYMOTE_X400_CONNECTION_STRING": connection,
        "MYMOTE_X400_DEVICE_KEY": device_key,
        "MYMOTE_X400_PORT": str(settings.mqtts_port),
        "MYMOTE_X400_CA_FILE": endpoints.ca_file,
        "MYMOTE_X400_OTA_PUBLIC_KEYS": json.dumps([endpoints.ota_public_key]),
    }


def dotenv(environment: dict[str, str]) -> str:
    """Lines that a shell can read with `set -a; . FILE`."""
    return "".join(f"{name}='{value}'\n" for name, value in sorted(environment.items()))
