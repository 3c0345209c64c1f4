"""The audit log: who did what, when, from where; and the devices' timelines with it."""

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from services.api.logic.access import Principal
from services.api.store.audit import Audit, AuditPage
from services.api.store.timeline import Timeline
from shared.logs import correlation_id
from shared.schemas.audit import ActorKind, AuditRecord
from shared.schemas.documents import TimelineEntry

log = logging.getLogger(__name__)

# What a device's timeline calls an operation that succeeded.
EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "pairDevice": "paired",
        "pairDevices": "paired",
        "updateDevice": "edited",
        "deleteDevice": "unpaired",
        "updateDeviceSettings": "settings_changed",
        "rebootDevice": "reboot_ordered",
        "sendUserMessage": "message_sent",
        "cancelUserMessage": "message_cancelled",
        "sendNewApp": "app_ordered",
        "sendNewFirmware": "firmware_ordered",
        "redeliverParkedMessage": "parked_redelivered",
        "redeliverParkedMessages": "parked_redelivered",
        "discardParkedMessage": "parked_discarded",
        "discardParkedMessages": "parked_discarded",
    }
)
AT_ONCE = 8  # timelines are partitions each: a bulk of 1,000 devices must not take minutes
# In a path that was refused as malformed or unknown may stand anything, a key too.
UNCHECKED = (400, 404)
# 64 letters and digits are a key: whoever may not make a call is not told that it is no id.
_ID = re.compile(r"(?![A-Za-z0-9]{64}\Z)[A-Za-z0-9_.:-]{1,128}")


@dataclass(frozen=True)
class Actor:
    """Who does something to an account. `id` is "" for the platform's operator."""

    kind: ActorKind
    id: str
    name: str


OPERATOR = Actor("operator", "", "operator")


@dataclass(frozen=True)
class Act:
    """Something that was done or tried. `targets`: ids by what they are of.

    `replayed`: it was done before, and answered from what was kept of that.
    """

    user_id: str
    actor: Actor
    operation: str
    status: int
    address: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)
    device_ids: tuple[str, ...] = ()
    replayed: bool = False


def actor_of(principal: Principal) -> Actor:
    """Whoever calls."""
    return Actor(principal.kind, principal.id, principal.name)


async def record(audit: Audit, timeline: Timeline, act: Act) -> None:
    """Write it down. What cannot be written is in the service's log as an error; nothing raises.

    What succeeded with a device is in the device's timeline too.
    """
    now = datetime.now(UTC)
    targets = {} if act.status in UNCHECKED else act.targets
    document = AuditRecord(
        id=uuid.uuid4().hex,
        user_id=act.user_id,
        at=now,
        actor_kind=act.actor.kind,
        actor_id=act.actor.id,
        actor_name=act.actor.name,
        operation=act.operation,
        targets={name: value for name, value in targets.items() if _ID.fullmatch(value)},
        device_ids=list(act.device_ids),
        status=act.status,
        address=act.address,
        correlation_id=correlation_id.get(),
    )
    try:
        await audit.add(document)
        if act.status < 300 and act.operation in EVENTS and not act.replayed:
            await _add_to_timelines(timeline, document)
    except Exception:
        log.exception(
            "what was done is not in the audit log",
            extra={"user_id": act.user_id, "operation": act.operation, "status": act.status},
        )


async def list_records(
    audit: Audit,
    user_id: str,
    *,
    actor: str,
    operation: str,
    device_id: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str,
) -> AuditPage:
    """Newest first, from `since` on and before `until`. `actor` is an id or a name.

    Raises InvalidRequest for a cursor of another list.
    """
    where: dict[str, tuple[str, object]] = {}
    if actor:
        where["@actor"] = ("(c.actor_id = @actor OR c.actor_name = @actor)", actor)
    if operation:
        where["@operation"] = ("c.operation = @operation", operation)
    if device_id:
        where["@device"] = ("ARRAY_CONTAINS(c.device_ids, @device)", device_id)
    if since is not None:
        where["@since"] = ("c.at >= @since", _as_stored(since))
    if until is not None:
        where["@until"] = ("c.at < @until", _as_stored(until))
    return await audit.page(user_id, where, limit, cursor)


async def _add_to_timelines(timeline: Timeline, document: AuditRecord) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def add(device_id: str) -> None:
        async with limit:
            await timeline.add(
                TimelineEntry(
                    id=f"audit-{document.id}",
                    device_id=device_id,
                    user_id=document.user_id,
                    event=EVENTS[document.operation],
                    detail=f"by {_named(document)}",
                    created_at=document.at,
                    enqueued_at=document.at,
                )
            )

    async with asyncio.TaskGroup() as tasks:
        for device_id in document.device_ids:
            tasks.create_task(add(device_id))


def _named(document: AuditRecord) -> str:
    return (
        f"API key '{document.actor_name}'" if document.actor_kind == "key" else document.actor_name
    )


def _as_stored(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")
