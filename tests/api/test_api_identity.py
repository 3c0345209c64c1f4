"""Bare names in the settings are opened with the service's identity, as in the cloud."""

import pytest
from pydantic import SecretStr

from shared.clients import open_azure
from shared.settings import AzureSettings


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_bare_names_need_no_key() -> None:
    settings = AzureSettings(
        cosmos_endpoint="https://mymote.documents.azure.com:443/",
        eventhub=SecretStr("mymote.servicebus.windows.net/stream"),
        iothub=SecretStr("mymote.azure-devices.net"),
        servicebus_namespaces={"one": SecretStr("mymote.servicebus.windows.net")},
        blob=SecretStr("https://mymote.blob.core.windows.net"),
    )
    async with open_azure(settings) as azure:  # nothing connects before its first use
        assert azure.database.id == "mymote"
        sender = azure.service_bus("one").get_queue_sender("user-a")
        assert sender.fully_qualified_namespace == "mymote.servicebus.windows.net"
        administration = azure.service_bus_administration("one")
        assert administration.fully_qualified_namespace == "mymote.servicebus.windows.net"
        assert azure.blob.account_name == "mymote"
