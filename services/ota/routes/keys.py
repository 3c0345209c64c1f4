"""The platform's public keys: what gateways check signatures with."""

from fastapi import APIRouter
from pydantic import BaseModel

from services.ota.logic.signing import PublishedKey
from services.ota.routes.authorized import Opened

router = APIRouter()


class PublishedKeys(BaseModel):
    """The active one first."""

    keys: list[PublishedKey]


@router.get("/keys")
async def list_keys(resources: Opened) -> PublishedKeys:
    """Public. A key is to be trusted if one that is trusted already signed it."""
    return PublishedKeys(keys=resources.signer.published)
