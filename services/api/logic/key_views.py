"""Stored API keys as owners see them."""

from datetime import datetime

from services.api.documents import usage
from services.api.entities import keys
from services.api.entities.keys import KeyUse, NewApiKey, OperationUse
from services.api.logic.access import is_valid
from services.api.logic.keys import MadeKey
from shared.schemas.accounts import ApiKey


def key_view(
    key: ApiKey, use: usage.KeyUse | None, now: datetime, *, maker_gone: bool
) -> keys.ApiKey:
    """APIKEY. Never the key itself or its hash."""
    return keys.ApiKey(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        created_at=key.created_at,
        created_by=key.created_by,
        created_by_gone=maker_gone,
        expires_at=key.expires_at,
        valid=is_valid(key, now),
        replaced_by=key.replaced_by,
        last_use=_use(use) if use else None,
    )


def new_key_view(made: MadeKey, now: datetime) -> NewApiKey:
    """NEWAPIKEY: with the key itself."""
    view = key_view(made.key, None, now, maker_gone=False)
    return NewApiKey(**view.model_dump(), api_key=made.secret)


def _use(use: usage.KeyUse) -> KeyUse:
    operations = [
        OperationUse(operation=name, at=each.at, count=each.count)
        for name, each in use.operations.items()
    ]
    operations.sort(key=lambda each: each.at, reverse=True)
    return KeyUse(at=use.at, address=use.address, operations=operations)
