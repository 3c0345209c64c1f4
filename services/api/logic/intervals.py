"""Pairings as intervals in the gateway's document (design.md, "Who owns a message"). Pure.

Each begins after the one before it ended, and ends after it began, whatever the clock does: a
start names its pairing, as its counts' owner and as the gateway's order to wipe.
"""

from datetime import datetime, timedelta

from shared.schemas.documents import Gateway, Pairing

TICK = timedelta(microseconds=1)


def current(gateway: Gateway) -> Pairing | None:
    """The pairing in force, if there is one."""
    last = gateway.pairings[-1] if gateway.pairings else None
    return last if last and last.ended_at is None else None


def owner_of(gateway: Gateway) -> str | None:
    """The user id of the account that the gateway belongs to now."""
    pairing = current(gateway)
    return pairing.user_id if pairing else None


def is_in_force(gateway: Gateway, user_id: str, started_at: datetime) -> bool:
    """Whether the gateway is the account's by the pairing that began then."""
    pairing = current(gateway)
    return pairing is not None and (pairing.user_id, pairing.started_at) == (user_id, started_at)


def begun(
    gateway: Gateway, user_id: str, device_name: str, now: datetime, order_id: str = ""
) -> Gateway:
    """The gateway after a new pairing began; none may be in force."""
    last = gateway.pairings[-1] if gateway.pairings else None
    pairing = Pairing(
        user_id=user_id,
        device_name=device_name,
        started_at=_after(last.ended_at if last else None, now),
        order_id=order_id,
    )
    return gateway.model_copy(update={"pairings": [*gateway.pairings, pairing]})


def completed(gateway: Gateway, now: datetime) -> Gateway:
    """The gateway after all that follows from the present pairing was done."""
    return _with_last(gateway, completed_at=now)


def ended(gateway: Gateway, now: datetime) -> Gateway:
    """The gateway after the present pairing ended."""
    return _with_last(gateway, ended_at=_after(gateway.pairings[-1].started_at, now))


def _with_last(gateway: Gateway, **changes: datetime) -> Gateway:
    last = gateway.pairings[-1].model_copy(update=changes)
    return gateway.model_copy(update={"pairings": [*gateway.pairings[:-1], last]})


def _after(earlier: datetime | None, now: datetime) -> datetime:
    return now if earlier is None else max(now, earlier + TICK)
