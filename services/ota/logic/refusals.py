"""Refused downloads, on the audit log: of the account that they concern, or of the platform."""

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import Counter

from services.ota.store.audit import Audit
from services.ota.store.downloads import DownloadDocuments
from shared.errors import MyMoteError, TooMany
from shared.logs import correlation_id
from shared.rate_limit import RateLimit
from shared.schemas.audit import PLATFORM, AuditRecord

log = logging.getLogger(__name__)

_DEVICE_ID = re.compile(r"X400_[0-9a-f]{40}")

REFUSED = Counter("mymote_ota_refusals", "Refused downloads", ["operation"])


@dataclass(frozen=True)
class Concerned:
    """What is known of whom a request concerns.

    `user_id`: the account, "" where only the device can tell. `device_id`: as the path has it.
    `proven`: the device proved that it is the one. `targets`: ids, none of them from the path
    unless they were found to exist.
    """

    operation: str
    user_id: str = ""
    device_id: str = ""
    proven: bool = False
    targets: Mapping[str, str] = field(default_factory=dict)


class Refused(MyMoteError):
    """A refused download; the message tells whoever writes the device's software what to do."""

    def __init__(self, status: int, sentence: str, concerned: Concerned) -> None:
        super().__init__(sentence)
        self.status = status
        self.concerned = concerned


@dataclass
class Refusals:
    """Writes records, in this process so many of an operation as `limit` grants, and separately of
    devices that proved themselves: strangers cost no more than that, and hide nothing.

    How many were left out stands in the next record; the metrics count all.
    """

    audit: Audit
    documents: DownloadDocuments
    limit: RateLimit
    _left_out: int = 0

    async def note(self, refused: Refused, address: str) -> None:
        """Write it down. What cannot be written is in the log as an error; nothing raises."""
        about = refused.concerned
        operation = about.operation
        REFUSED.labels(operation).inc()
        try:
            self.limit.spend(f"{operation} {about.proven}")
        except TooMany:
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out, 0
        try:
            await self.audit.add(await self._record(refused, address, left_out))
        except Exception:
            self._left_out += left_out + 1
            log.exception("a refusal is not in the audit log", extra={"operation": operation})

    async def _record(self, refused: Refused, address: str, left_out: int) -> AuditRecord:
        about = refused.concerned
        known, user_id = about.proven, about.user_id
        if not known and _DEVICE_ID.fullmatch(about.device_id):  # the database takes no other
            # What a stranger says of a device stands on the log only where there is such a one.
            pairing = await self.documents.pairing(about.device_id)
            known = pairing is not None
            user_id = user_id or (pairing.user_id if pairing else "")
        more = {"left_out": str(left_out)} if left_out else {}
        return AuditRecord(
            id=uuid.uuid4().hex,
            user_id=user_id or PLATFORM,
            at=datetime.now(UTC),
            actor_kind="device" if about.proven else "stranger",
            actor_id=about.device_id if about.proven else "",
            actor_name=about.device_id if about.proven else "",
            operation=about.operation,
            targets={**about.targets, **more},
            device_ids=[about.device_id] if known else [],
            status=refused.status,
            reason=str(refused),
            address=address,
            correlation_id=correlation_id.get(),
        )
