"""Whose a gateway is (design.md, "Who owns a message"). Pure."""

from collections.abc import Iterable

from shared.schemas.documents import Gateway, Pairing
from shared.schemas.jobs import Job


def pairing_of(gateway: Gateway | None, user_id: str) -> Pairing | None:
    """The account's pairing, if it is the one in force."""
    last = gateway.pairings[-1] if gateway is not None and gateway.pairings else None
    if last is None or last.ended_at is not None or last.user_id != user_id:
        return None
    return last


def is_still_theirs(gateway: Gateway | None, job: Job) -> bool:
    """Whether the pairing in which a job was ordered is in force."""
    pairing = pairing_of(gateway, job.user_id)
    return pairing is not None and pairing.started_at == job.paired_at


def accounts_with_jobs(gateway: Gateway | None) -> Iterable[str]:
    """Whose jobs a gateway may be at: its owner's, and the last one's that are to be ended."""
    return dict.fromkeys(each.user_id for each in gateway.pairings[-2:]) if gateway else ()
