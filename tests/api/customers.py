"""Accounts and gateways for the api's tests, made by the api's own logic."""

import json
import secrets
from dataclasses import dataclass

from services.api.logic import pairing
from services.api.logic.accounts import create_account
from services.api.logic.ids import new_device_key, new_user_id
from services.api.logic.manufacturing import Manufactured, manufacture
from services.api.resources import Resources
from services.api.settings import ApiSettings
from stack.local import LocalStack
from tests.known_secrets import keep


@dataclass(frozen=True)
class Customer:
    """An account and what opens it."""

    user_id: str
    api_key: str
    queue_connection_string: str

    @property
    def base(self) -> str:
        return f"/api/user/{self.user_id}/{self.api_key}"


def settings_of(stack: LocalStack, **changes: object) -> ApiSettings:
    """The api's settings for a stack, some of them changed."""
    values: dict[str, object] = {
        name.removeprefix("MYMOTE_").lower(): value
        for name, value in stack.service_environment.items()
    }
    values["servicebus_namespaces"] = json.loads(str(values["servicebus_namespaces"]))
    known = {name: value for name, value in values.items() if name in ApiSettings.model_fields}
    return ApiSettings.model_validate(known | changes)


def stores_of(resources: Resources) -> pairing.Stores:
    return pairing.Stores(
        accounts=resources.accounts,
        groups=resources.groups,
        gateways=resources.gateways,
        devices=resources.devices,
        hub=resources.hub,
        user_messages=resources.user_messages,
    )


async def new_customer(resources: Resources) -> Customer:
    made = await create_account(
        resources.making_accounts,
        user_id=new_user_id(),
        username=f"customer {secrets.token_hex(2)}",
    )
    keep(made.api_key, made.queue_connection_string)
    return Customer(made.account.user_id, made.api_key, made.queue_connection_string)


async def new_gateway(stores: pairing.Stores) -> Manufactured:
    made = await manufacture(stores.gateways, stores.hub, new_device_key())
    keep(made.device_key, made.device_connection_string)
    return made


def pairing_request(
    customer: Customer,
    gateway: Manufactured,
    name: str = "Device",
    location: str = "",
    group_id: str = "",
) -> pairing.PairingRequest:
    return pairing.PairingRequest(customer.user_id, gateway.device_key, name, location, group_id)
