"""Pairing many gateways at once, with a report for each line.

All lines are checked before the first gateway is paired. A line that fails stops no other.
Sending the same file again pairs what is missing.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.api.logic.ids import device_id_of
from services.api.logic.import_csv import Line
from services.api.logic.pairing import pair
from services.api.logic.pairing_by_owner import Guesses, pair_as_owner
from services.api.logic.pairing_request import PairingRequest, check_location, check_name
from services.api.logic.pairing_truth import Stores
from shared.errors import InvalidRequest, MyMoteError
from shared.schemas.documents import GroupDocument

AT_ONCE = 4
# Proxies close a connection without an answer after minutes. What began is always finished.
BEGIN_SECONDS = 90.0
MAX_NAME = 100

Outcome = Literal["valid", "paired", "already", "failed"]


@dataclass(frozen=True)
class Reported:
    """What became of a line. `device_id` is "" for one that failed."""

    line: int
    name: str
    device_id: str
    result: Outcome
    error: str = ""


async def pair_many(
    stores: Stores,
    guesses: Guesses,
    *,
    user_id: str,
    order_id: str,
    lines: Sequence[Line],
    dry_run: bool,
) -> list[Reported]:
    """A report for each line, in their order.

    A dry run says of each line whether it can be read and whether this account has the gateway;
    it looks at no others, since that would be a way to guess keys. Raises Unavailable where the
    account's groups cannot be read; nothing is paired then.
    """
    groups = _ids_by_name(await stores.groups.of_account(user_id))
    checked = _check_all(user_id, order_id, lines, groups)
    begin_until = time.monotonic() + BEGIN_SECONDS
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(line: Line, request: PairingRequest | Reported) -> Reported:
        if isinstance(request, Reported):
            return request
        async with limit:
            if time.monotonic() > begin_until:
                return _failed(line, "Not tried, since the file took too long; send it again.")
            try:
                return await _one(stores, guesses, line, request, dry_run=dry_run)
            except MyMoteError as error:
                return _failed(line, str(error))

    return await asyncio.gather(*(one(*each) for each in zip(lines, checked, strict=True)))


async def _one(
    stores: Stores, guesses: Guesses, line: Line, request: PairingRequest, *, dry_run: bool
) -> Reported:
    device_id = device_id_of(request.device_key)
    entry = await stores.devices.get(request.user_id, device_id)
    if dry_run:
        settled = entry is not None and entry.phase == "paired"
        return Reported(line.number, line.name, device_id, "already" if settled else "valid")
    # A key that this account has used is no guess: whatever was guessed before, it passes.
    if entry is not None:
        paired = await pair(stores, request)
    else:
        paired = await pair_as_owner(stores, guesses, request)
    result: Outcome = "already" if paired.already else "paired"
    return Reported(line.number, paired.device.name, device_id, result)


def _check_all(
    user_id: str, order_id: str, lines: Sequence[Line], groups: Mapping[str, Sequence[str]]
) -> list[PairingRequest | Reported]:
    """What is to be paired, or why a line cannot be."""
    first: dict[str, int] = {}
    checked: list[PairingRequest | Reported] = []
    for line in lines:
        try:
            request = _request(user_id, order_id, line, groups)
        except InvalidRequest as error:
            checked.append(_failed(line, str(error)))
            continue
        before = first.setdefault(request.device_key, line.number)
        if before != line.number:
            checked.append(_failed(line, f"Line {before} has the same device key."))
            continue
        checked.append(request)
    return checked


def _request(
    user_id: str, order_id: str, line: Line, groups: Mapping[str, Sequence[str]]
) -> PairingRequest:
    if line.problem:
        raise InvalidRequest(line.problem)
    device_id_of(line.device_key)
    check_name(line.name)
    if line.location:
        check_location(line.location)
    group_id = _group_id(line.group, groups) if line.group else ""
    return PairingRequest(
        user_id=user_id,
        device_key=line.device_key,
        name=line.name,
        location=line.location,
        group_id=group_id,
        order_id=order_id,
    )


def _group_id(text: str, groups: Mapping[str, Sequence[str]]) -> str:
    found = groups.get(text, ())
    if not found:
        raise InvalidRequest("This account has no group of this id or name; create it first.")
    if len(found) > 1:
        raise InvalidRequest("Several groups have this name; give the group's id.")
    return found[0]


def _ids_by_name(groups: Sequence[GroupDocument]) -> Mapping[str, Sequence[str]]:
    """By name, and by id, which goes before."""
    found: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        found[group.name].append(group.id)
    return found | {group.id: [group.id] for group in groups}


def _failed(line: Line, error: str) -> Reported:
    return Reported(line.number, line.name[:MAX_NAME], "", "failed", error)
