"""Who owns a message: pairings are intervals (design.md, "Who owns a message"). Pure."""

from datetime import datetime
from enum import Enum

from shared.schemas.documents import Gateway, Pairing


class Nobody(Enum):
    """Why a message belongs to nobody."""

    NEVER_PAIRED = "never paired"  # its first owner may still have it
    NOT_THEIRS = "not theirs"  # a former owner's, or stored before the pairing began


def pairing_at(gateway: Gateway | None, moment: datetime) -> Pairing | None:
    """The pairing in force at a moment."""
    if gateway is None:
        return None
    for pairing in reversed(gateway.pairings):
        if pairing.started_at <= moment:
            in_force = pairing.ended_at is None or moment < pairing.ended_at
            return pairing if in_force else None
    return None


def was_paired(gateway: Gateway | None, moment: datetime) -> bool:
    """Whether anybody had paired the gateway by then."""
    return gateway is not None and any(earlier.started_at <= moment for earlier in gateway.pairings)


def first_owner(gateway: Gateway | None, moment: datetime) -> Pairing | None:
    """The first pairing, for what the hub took at a moment before it; None if there is none."""
    if gateway is None or not gateway.pairings or gateway.pairings[0].started_at <= moment:
        return None
    return gateway.pairings[0]


def owner(
    gateway: Gateway | None,
    *,
    enqueued_at: datetime,
    created_at: datetime,
    claimed_at: datetime | None,
) -> Pairing | Nobody:
    """The pairing that a message belongs to.

    `enqueued_at` is when the hub took it; `created_at` is when the gateway stored it, after the
    clock rules, and `claimed_at` before them. What was stored before the pairing began belongs
    to nobody. That holds for what waited longer than the clock rules believe, too, or a former
    owner's data would reach the next by waiting; only a clock that shows a time before the
    gateway was manufactured is simply wrong and proves nothing.
    """
    pairing = pairing_at(gateway, enqueued_at)
    if gateway is None or pairing is None:
        paired_before = was_paired(gateway, enqueued_at)
        return Nobody.NOT_THEIRS if paired_before else Nobody.NEVER_PAIRED
    if created_at < pairing.started_at:
        return Nobody.NOT_THEIRS
    if claimed_at is not None and gateway.manufactured_at <= claimed_at < pairing.started_at:
        return Nobody.NOT_THEIRS
    return pairing
