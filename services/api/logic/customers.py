"""What the platform's operator does for accounts, written down in their audit logs."""

from dataclasses import dataclass
from datetime import datetime

from services.api.logic import invitations, keys
from services.api.logic.audit import OPERATOR, Act, record
from services.api.logic.invitations import Invited
from services.api.logic.keys import MadeKey
from services.api.store.accounts import Accounts
from services.api.store.audit import Audit
from services.api.store.timeline import Timeline
from shared.schemas.accounts import Role, Scope

MADE = 201


@dataclass(frozen=True)
class OperatorStores:
    """What is changed, and where it is written down."""

    accounts: Accounts
    audit: Audit
    timeline: Timeline


async def make_key(
    stores: OperatorStores,
    user_id: str,
    *,
    name: str,
    scopes: list[Scope],
    expires_at: datetime | None,
    now: datetime,
    address: str = "",
) -> MadeKey:
    """Raises InvalidRequest, NotFound, Conflict, Unavailable."""
    made = await keys.make_key(
        stores.accounts,
        user_id,
        name=name,
        scopes=scopes,
        expires_at=expires_at,
        by=None,
        now=now,
    )
    await _record(stores, user_id, "createKey", made.key.id, address)
    return made


async def invite_owner(
    stores: OperatorStores, user_id: str, *, note: str, address: str = ""
) -> Invited:
    """A link by which the account's owner joins. Raises NotFound, Conflict, Unavailable."""
    made = await invitations.create_invitation(
        stores.accounts, user_id, role=Role.OWNER, note=note, created_by=None
    )
    await _record(stores, user_id, "createInvitation", made.invitation.id, address)
    return made


async def _record(
    stores: OperatorStores, user_id: str, operation: str, made: str, address: str
) -> None:
    act = Act(user_id, OPERATOR, operation, MADE, address=address, targets={"made": made})
    await record(stores.audit, stores.timeline, act)
