"""What the platform's operator sends and reads."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.api.entities.account import Username
from services.api.entities.page import Page

MAX_GATEWAYS = 20  # of one call: IoT Hub takes 100 registry calls a minute and unit

DeviceKey = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{64}$")]
_USER_ID = r"^[a-z0-9][a-z0-9-]{0,49}$"


class CustomerAccount(BaseModel):
    """CUSTOMERACCOUNT: an account as the platform's operator sees it."""

    user_id: str = Field(description="The UserID.", examples=["u3f9c2d41a07be586"])
    username: str = Field(description="The customer's name.", examples=["Acme Ltd"])
    servicebus_namespace: str = Field(
        description="The platform's name of the namespace.", examples=["mymote-1"]
    )
    queue: str = Field(description="Its queue there.", examples=["user-u3f9c2d41a07be586"])
    api_keys: int = Field(description="How many it has, expired ones too.", examples=[2])
    people: int = Field(description="How many sign in.", examples=[3])
    created_at: datetime = Field(description="When it was made.", examples=["2026-01-02T08:30:00Z"])


class CustomerAccountPage(Page[CustomerAccount]):
    """Some accounts, as the database keeps them; a page may be empty before the last."""


class CreateAccount(BaseModel):
    """An account to be made."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"username": "Acme Ltd"}]}
    )

    username: Username
    user_id: str | None = Field(
        None,
        pattern=_USER_ID,
        description="1 to 50 lower-case letters, digits and '-'; made up where it is left out.",
    )


class NewAccount(BaseModel):
    """NEWACCOUNT: the one reply that holds the account's first API key."""

    user_id: str = Field(description="The UserID.", examples=["u3f9c2d41a07be586"])
    username: str = Field(description="The customer's name.", examples=["Acme Ltd"])
    api_key: str = Field(
        description="A key of scope `admin`: 64 hex digits.", examples=["9b0e…64 hex digits…41c7"]
    )
    queue_connection_string: str = Field(
        description="Opens the account's queue for listening.",
        examples=["Endpoint=sb://…;EntityPath=user-u3f9c2d41a07be586"],
    )


class InviteOwner(BaseModel):
    """Who is to join; all of it may be left out."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "Ada, plant manager"}]}
    )

    note: str = Field("", max_length=200, description="For whom the link is.")


class Namespace(BaseModel):
    """NAMESPACE: a Service Bus namespace, over which accounts are spread."""

    name: str = Field(description="In the settings.", examples=["mymote-1"])
    accounts: int = Field(description="How many accounts it has.", examples=[412])
    capacity: int = Field(description="How many it takes.", examples=[2000])


class InventoryGateway(BaseModel):
    """INVENTORYGATEWAY: a gateway as the platform's operator sees it."""

    device_id: str = Field(
        description="`X400_` and 40 lower-case hex digits.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    type: str = Field(description="The gateway's model.", examples=["X400"])
    manufactured_at: datetime = Field(
        description="When it was registered.", examples=["2026-01-02T08:30:00Z"]
    )
    user_id: str = Field(
        description='The account that it is paired with, or "".', examples=["u3f9c2d41a07be586"]
    )
    name: str = Field(description='Its name there, or "".', examples=["Pump 3"])


class InventoryPage(Page[InventoryGateway]):
    """Some gateways, as the database keeps them; a page may be empty before the last."""


class ManufactureGateways(BaseModel):
    """Either how many, or the keys of those that were interrupted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"count": 10}]})

    count: int | None = Field(None, strict=True, ge=1, le=MAX_GATEWAYS, description="How many.")
    device_keys: list[DeviceKey] | None = Field(
        None,
        min_length=1,
        max_length=MAX_GATEWAYS,
        description="64 letters and digits each. The same keys may be sent again.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ManufactureGateways":
        if (self.count is None) == (self.device_keys is None):
            raise ValueError("give either 'count' or 'device_keys'")
        return self


class ManufacturedGateway(BaseModel):
    """MANUFACTUREDGATEWAY: the one reply that holds its secrets. They cannot be shown again."""

    device_id: str = Field(
        description="`X400_` and 40 lower-case hex digits.",
        examples=["X400_8cb2237d0679ca88db6464eac60da96345513964"],
    )
    device_key: str = Field(
        description="Stands on its label.", examples=["4c1d…64 characters…90af"]
    )
    device_connection_string: str = Field(
        description="What it signs in to IoT Hub with.",
        examples=["HostName=…;DeviceId=X400_…;SharedAccessKey=…"],
    )
