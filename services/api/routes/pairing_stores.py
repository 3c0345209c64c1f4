"""What pairing, editing and groups work on, as the routes ask for it."""

from typing import Annotated

from fastapi import Depends

from services.api.logic.pairing_truth import Stores
from services.api.routes.dependencies import Opened


def pairing_stores(resources: Opened) -> Stores:
    """Of the open resources."""
    return Stores(
        accounts=resources.accounts,
        groups=resources.groups,
        gateways=resources.gateways,
        devices=resources.devices,
        hub=resources.hub,
        user_messages=resources.user_messages,
    )


PairingStores = Annotated[Stores, Depends(pairing_stores)]
