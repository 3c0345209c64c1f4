"""What the platform's operator does with firmware is on the platform's audit log.

What accounts do is on theirs: the api writes it.
"""

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request

from services.ota.resources import Resources
from shared.errors import MyMoteError
from shared.logs import correlation_id
from shared.recorder import CLIENT_GONE
from shared.schemas.audit import PLATFORM, AuditRecord

log = logging.getLogger(__name__)


@asynccontextmanager
async def audited(
    request: Request, resources: Resources, operation: str, status: int
) -> AsyncIterator[dict[str, str]]:
    """Writes down how it went, also where it is refused. `status`: where it succeeds.

    Yields the record's targets, to be filled with ids.
    """
    targets: dict[str, str] = {}
    ended = 500
    try:
        yield targets
        ended = status
    except MyMoteError as error:
        ended = error.status
        raise
    except ClientDisconnect:
        ended = CLIENT_GONE
        raise
    finally:
        record = AuditRecord(
            id=uuid.uuid4().hex,
            user_id=PLATFORM,
            at=datetime.now(UTC),
            actor_kind="operator",
            actor_id="",
            actor_name="operator",
            operation=operation,
            targets=targets,
            device_ids=[],
            status=ended,
            address=request.client.host if request.client else "",
            correlation_id=correlation_id.get(),
        )
        try:
            await resources.refusals.audit.add(record)
        except Exception:
            log.exception("what was done is not in the audit log", extra={"operation": operation})
