"""The one place that decides who may do what.

Each call has an operation id (its OpenAPI `operationId`), and each operation needs one scope.
Whoever calls, by API key or as a person who signed in, is a principal with scopes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

from shared.errors import Forbidden
from shared.schemas.accounts import Account, ApiKey, Role, Scope

ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.OWNER: frozenset({Scope.ADMIN}),
        Role.OPERATOR: frozenset({Scope.READ, Scope.WRITE, Scope.OTA}),
        Role.VIEWER: frozenset({Scope.READ}),
    }
)

_OPERATIONS: Mapping[Scope, tuple[str, ...]] = MappingProxyType(
    {
        Scope.READ: (
            "getAccount",
            "getMe",
            "changePassword",
            "listSessions",  # one's own; all of the account need `admin`
            "endSession",  # likewise
            "logout",
            "getQueue",  # without what opens it, which needs `admin`
            "listDevices",
            "listDevicesOfGroup",
            "getDevice",
            "getDeviceStatus",
            "getDeviceStatistics",
            "getDeviceSettings",
            "getDeviceProperties",
            "getDeviceTimeline",
            "listUserMessages",
            "getUserMessage",
            "listGroups",
            "getGroup",
            "listNotifications",
            "getNotification",
            "countNotifications",
            "listApps",
            "getApp",
            "listAppVersions",
            "getAppVersion",
            "listFirmware",
            "getFirmware",
            "listJobs",
            "getJob",
            "listParkedMessages",
            "getParkedMessage",
        ),
        Scope.WRITE: (
            "pairDevice",
            "pairDevices",
            "updateDevice",
            "deleteDevice",
            "updateDeviceSettings",
            "rebootDevice",
            "sendUserMessage",
            "cancelUserMessage",
            "createGroup",
            "updateGroup",
            "deleteGroup",
            "acknowledgeNotification",
            "clearNotification",
            "acknowledgeNotifications",
            "clearNotifications",
            "redeliverParkedMessage",
            "discardParkedMessage",
            "redeliverParkedMessages",
            "discardParkedMessages",
        ),
        Scope.OTA: (
            "sendNewApp",
            "sendNewFirmware",
            "createApp",
            "updateApp",
            "deleteApp",
            "uploadAppVersion",
            "deleteAppVersion",
            "cancelJob",
        ),
        Scope.ADMIN: (
            "updateAccount",
            "renewQueueKey",
            "listKeys",
            "createKey",
            "getKey",
            "updateKey",
            "renewKey",
            "revokeKey",
            "listPeople",
            "getPerson",
            "updatePerson",
            "removePerson",
            "listInvitations",
            "createInvitation",
            "deleteInvitation",
            "listAudit",
        ),
    }
)

NEEDED: Mapping[str, Scope] = MappingProxyType(
    {operation: scope for scope, operations in _OPERATIONS.items() for operation in operations}
)


@dataclass(frozen=True)
class Principal:
    """Whoever calls: an API key (`id` and `name` are the key's) or a person who signed in."""

    kind: Literal["key", "person"]
    id: str
    name: str
    scopes: frozenset[Scope]
    session_id: str = ""  # a person's

    @property
    def full(self) -> bool:
        """Whether secrets (device keys, connection strings) are shown."""
        return Scope.ADMIN in self.scopes

    def has(self, scope: Scope) -> bool:
        """`admin` includes all; every scope includes `read`."""
        return self.full or scope in self.scopes or (scope is Scope.READ and bool(self.scopes))


def require(principal: Principal, operation: str) -> None:
    """Raises Forbidden, and KeyError for an operation that nobody has decided on."""
    needed = NEEDED[operation]
    if not principal.has(needed):
        raise Forbidden(
            f"This needs the scope '{needed}'; this {principal.kind} has "
            f"{_listed(principal.scopes)}. Ask an owner of the account for more."
        )


def is_valid(key: ApiKey, now: datetime) -> bool:
    """Whether a key that was not revoked still opens its account."""
    return key.expires_at is None or now < key.expires_at


def require_still_manages(account: Account, by: Principal | None) -> None:
    """Whoever was put out since their call began must not make another way in; the platform's
    operator is None. Raises Forbidden."""
    if by and not _still_manages(account, by):
        raise Forbidden("You may not manage this account any more.")


def _still_manages(account: Account, principal: Principal) -> bool:
    if principal.kind == "key":
        now = datetime.now(UTC)
        return any(
            key.id == principal.id and Scope.ADMIN in key.scopes and is_valid(key, now)
            for key in account.api_keys
        )
    return any(
        member.person_id == principal.id and Scope.ADMIN in ROLE_SCOPES[member.role]
        for member in account.members
    )


def maker_is_gone(account: Account, key: ApiKey) -> bool:
    """Whether the person or key that made it does not belong to the account any more.

    Who joined after it was made is another person, whatever the username.
    """
    maker = key.created_by_id
    if not maker or any(each.id == maker for each in account.api_keys):
        return False
    return not any(
        member.person_id == maker and member.joined_at <= key.created_at
        for member in account.members
    )


def without_invitations_of(account: Account, maker: str) -> Account:
    """Whoever may not manage it any more, a person or a key, must not come back by an invitation
    of their own."""
    kept = [each for each in account.invitations if each.created_by_id != maker]
    return account.model_copy(update={"invitations": kept})


def has_full_way_in(account: Account) -> bool:
    """Whether somebody can always manage it: an owner, or a key of scope `admin` without expiry.

    No change may take the last such way in away.
    """
    return any(member.role is Role.OWNER for member in account.members) or any(
        key.expires_at is None and Scope.ADMIN in key.scopes for key in account.api_keys
    )


def _listed(scopes: Collection[Scope]) -> str:
    return ", ".join(f"'{scope}'" for scope in sorted(scopes)) or "none"
