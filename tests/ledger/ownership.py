"""Whose a message is, read from the pairing documents as design.md says it.

While a pairing is being written nobody can know it yet: what the hub takes between the moment
that the document names and the end of its writing may be treated either way. These messages are
counted, and both ways are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from shared.schemas.documents import Gateway, Pairing
from tests.ledger.records import PairingChange, StreamEvent

CLOCK_AHEAD, CLOCK_BEHIND = timedelta(minutes=5), timedelta(days=30)


class Nobody(Enum):
    """Why a message belongs to no pairing."""

    NEVER_PAIRED = "no account had paired the gateway yet"
    BETWEEN = "no account had the gateway just then"
    BEFORE = "the gateway stored it before the pairing began"


@dataclass(frozen=True)
class Boundary:
    """A start or an end of a pairing, and until when its writing may have been under way."""

    at: datetime
    known: datetime


def created_at(event: StreamEvent) -> datetime:
    """When the gateway stored it, or the hub's time where its clock cannot be believed."""
    claimed, taken = event.claimed_at, event.enqueued_at
    if claimed is None or not taken - CLOCK_BEHIND <= claimed <= taken + CLOCK_AHEAD:
        return taken
    return claimed


def owner(gateway: Gateway, event: StreamEvent) -> Pairing | Nobody:
    """The pairing that a message belongs to."""
    taken = event.enqueued_at
    begun = [each for each in gateway.pairings if each.started_at <= taken]
    if not begun:
        return Nobody.NEVER_PAIRED
    pairing = begun[-1]
    if pairing.ended_at is not None and pairing.ended_at <= taken:
        return Nobody.BETWEEN
    stored = event.claimed_at
    # A clock from before the gateway was made is wrong and says nothing about when.
    says = stored is not None and gateway.manufactured_at <= stored < pairing.started_at
    if says or created_at(event) < pairing.started_at:
        return Nobody.BEFORE
    return pairing


def boundaries(gateway: Gateway, changes: Sequence[PairingChange]) -> list[Boundary]:
    """Each start and end of the gateway's pairings, by the calls that made them."""
    found = []
    for pairing in gateway.pairings:
        for at in (pairing.started_at, pairing.ended_at):
            if at is not None:
                found.append(Boundary(at, _known(at, gateway.device_id, changes)))
    return found


def views(
    gateway: Gateway, boundaries_of: Sequence[Boundary], event: StreamEvent
) -> list[Pairing | Nobody]:
    """What ingest may have read of a message's owner: the truth first."""
    truth = owner(gateway, event)
    found = [truth]
    for boundary in boundaries_of:
        if boundary.at <= event.enqueued_at <= boundary.known:
            other = owner(_without(gateway, boundary.at), event)
            if other not in found:
                found.append(other)
    return found


def first_owner(gateway: Gateway) -> Pairing | None:
    """Who gets what a gateway sent before anybody had paired it."""
    return gateway.pairings[0] if gateway.pairings else None


def boundaries_of(
    gateways: Mapping[str, Gateway], changes: Sequence[PairingChange]
) -> dict[str, list[Boundary]]:
    """All gateways' boundaries, by device id."""
    return {device_id: boundaries(gateway, changes) for device_id, gateway in gateways.items()}


def _known(at: datetime, device_id: str, changes: Sequence[PairingChange]) -> datetime:
    moment = at.timestamp()
    for change in changes:
        if change.device_id == device_id and change.began <= moment <= change.finished:
            written = [each for each in change.written if each >= moment]
            return datetime.fromtimestamp(min(written, default=change.finished), UTC)
    return at


def _without(gateway: Gateway, at: datetime) -> Gateway:
    """The document as it was before that start or end was written."""
    earlier = []
    for pairing in gateway.pairings:
        if pairing.started_at >= at:
            break
        ended = pairing.ended_at
        still = ended is not None and ended >= at
        earlier.append(pairing.model_copy(update={"ended_at": None}) if still else pairing)
    return gateway.model_copy(update={"pairings": earlier})
