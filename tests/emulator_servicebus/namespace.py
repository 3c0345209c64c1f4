"""A running Service Bus namespace, as the tests reach it."""

from dataclasses import dataclass
from pathlib import Path

from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from emulator.servicebus.service import ServiceBus

ROOT_KEY = "cm9vdC1rZXk="


@dataclass
class Namespace:
    """A running namespace and how to reach it."""

    service: ServiceBus
    https_port: int
    amqp_port: int
    ca_file: Path

    def connection_string(
        self, port: int, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> str:
        return (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName={rule};SharedAccessKey={key};"
            "UseDevelopmentEmulator=true;"
        )

    def administration(
        self, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient.from_connection_string(
            self.connection_string(self.https_port, key, rule),
            connection_verify=str(self.ca_file),
            retry_total=0,
        )

    def client(
        self, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(
            self.connection_string(self.amqp_port, key, rule), retry_total=0
        )
