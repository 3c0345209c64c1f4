"""Checks the accounts' queues: loss, doubling, disorder, foreign and altered messages. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.ledger.oracle import Expected, Verdict, iso
from tests.ledger.ownership import created_at
from tests.ledger.records import Key, Received
from tests.ledger.violations import Violation


def check_queues(received: Sequence[Received], expected: Expected) -> Iterable[Violation]:
    """Each queue holds what it must, once, in order for each gateway."""
    copies: defaultdict[Key, list[Received]] = defaultdict(list)
    for each in sorted(received, key=lambda one: one.queue_number):
        copies[each.key].append(each)
    wanted = {key: each for key, each in expected.verdicts.items() if each.what == "queue"}
    for key, found in copies.items():
        verdict = wanted.get(key)
        if verdict is None:
            must = expected.verdicts[key].what if key in expected.verdicts else "not in the stream"
            text = f"on the queue of {_users(found)}, and it is: {must}"
            yield Violation("foreign message", key, text)
            continue
        yield from _check_copies(key, verdict, found)
    for key in wanted.keys() - copies.keys():
        text = f"not on the queue of {wanted[key].user_id}"
        yield Violation("lost", key, text)
    yield from _check_ids(copies)
    yield from _check_order(copies, wanted)


def _check_copies(key: Key, verdict: Verdict, found: Sequence[Received]) -> Iterable[Violation]:
    theirs = [each for each in found if each.user_id == verdict.user_id]
    if len(theirs) < len(found):
        others = [each for each in found if each.user_id != verdict.user_id]
        text = f"on the queue of {_users(others)}, it belongs to {verdict.user_id}"
        yield Violation("foreign message", key, text)
    if not theirs:
        yield Violation("lost", key, f"not on the queue of {verdict.user_id}")
    if len(theirs) > 1:
        yield Violation("doubled", key, f"{len(theirs)} times on the queue of {verdict.user_id}")
    for each in theirs[:1]:
        event = verdict.event
        if each.body != event.body or each.content_type != event.content_type:
            yield Violation("altered", key, "another body or content type on the queue")
        properties = _properties(verdict)
        if each.properties != properties:
            text = f"properties {dict(each.properties)}, not {properties}"
            yield Violation("altered", key, text)


def _properties(verdict: Verdict) -> dict[str, str]:
    """The application properties of design.md, "Where it is kept", and no others."""
    event, pairing = verdict.event, verdict.pairing
    properties = {
        "iothub-connection-device-id": event.device_id,
        "device_name": pairing.device_name if pairing else "",
        "iothub-creation-time-utc": iso(created_at(event)),
        "mid": event.mid,
    }
    if "user_route" in event.properties:
        properties["user_route"] = event.properties["user_route"]
    return properties


def _check_ids(copies: dict[Key, list[Received]]) -> Iterable[Violation]:
    """A message has one message_id, and no other message has it."""
    keys: defaultdict[str, set[Key]] = defaultdict(set)
    for key, found in copies.items():
        for each in found:
            keys[each.message_id].add(key)
        if len({each.message_id for each in found}) > 1:
            yield Violation("message id", key, "its copies have different ones")
    for message_id, shared in keys.items():
        if len(shared) > 1:
            yield Violation("message id", min(shared), f"{message_id} is others' as well")


def _check_order(
    copies: dict[Key, list[Received]], wanted: dict[Key, Verdict]
) -> Iterable[Violation]:
    """Mids of a gateway grow, so its messages on a queue must have growing numbers."""
    last: dict[tuple[str, str], tuple[int, Key]] = {}
    for key, verdict in wanted.items():  # in the order of the stream
        mine = [each for each in copies.get(key, ()) if each.user_id == verdict.user_id]
        if not mine or verdict.user_id is None:
            continue
        place = (verdict.user_id, key.device_id)
        number = mine[0].queue_number
        before = last.get(place)
        if before is not None and number < before[0]:
            text = f"on the queue before mid {before[1].mid}, which is older"
            yield Violation("disorder", key, text)
            continue
        last[place] = (number, key)


def _users(found: Iterable[Received]) -> str:
    return ", ".join(sorted({each.user_id for each in found}))
