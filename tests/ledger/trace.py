"""A message's way, told from everything that saw it, for whoever has to find the mistake."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.ledger.evidence import Evidence
from tests.ledger.oracle import Expected
from tests.ledger.records import Done, Key

AROUND_SECONDS = 3.0  # faults that much before and after are told, too
MOST_LOG_LINES = 30


def trace(
    key: Key, evidence: Evidence, expected: Expected, faults: Sequence[Done], logs: Sequence[Path]
) -> str:
    """All that is known of a message, or of a gateway (a key without a mid), by time."""
    lines = sorted(_ways(key, evidence, expected))
    if lines and key.mid:
        first, last = lines[0][0] - AROUND_SECONDS, lines[-1][0] + AROUND_SECONDS
        lines += [
            (each.at, f"fault: {each.what} {each.target}")
            for each in faults
            if first <= each.at <= last
        ]
    told = [f"  {_time(at)}  {text}" for at, text in sorted(lines)]
    told += [f"  {text}" for text in _states(key, evidence, expected)]
    if key.mid:
        names = {each.message_id for each in evidence.received if each.key == key}
        names |= {each.id for each in evidence.documents.parked if _of(each, key)}
        told += [f"  log  {line}" for line in _log_lines(key, names, logs)]
    return "\n".join([f"trace of {key.device_id} mid {key.mid or '(all)'}", *told])


def _ways(key: Key, evidence: Evidence, expected: Expected) -> Iterator[tuple[float, str]]:
    for record in evidence.fleet:
        if record.key == key:
            what = {"Stored": "stored by", "Taken": "PUBACK to", "Wiped": "wiped by"}
            yield record.at, f"{what[type(record).__name__]} the gateway"
    for event in expected.occurrences.get(key, ()):
        yield (
            event.enqueued_at.timestamp(),
            f"in the stream at {event.partition}/{event.sequence_number}",
        )
    for change in evidence.changes:
        if change.device_id == key.device_id:
            yield change.began, f"{change.what} by {change.user_id} began"
            yield change.finished, f"{change.what} by {change.user_id} ended: {change.outcome}"
    for received in evidence.received:
        if received.key == key:
            place = f"{received.user_id}, number {received.queue_number}"
            yield received.queued_at.timestamp(), f"taken by the queue of {place}"
            yield received.received_at, f"received from the queue of {place}"


def _states(key: Key, evidence: Evidence, expected: Expected) -> Iterator[str]:
    verdict = expected.verdicts.get(key)
    if verdict is not None:
        yield f"it must be: {verdict.what}, of {verdict.user_id or 'nobody'}"
    documents = evidence.documents
    gateway = documents.gateways.get(key.device_id)
    for pairing in gateway.pairings if gateway else ():
        until = pairing.ended_at.isoformat() if pairing.ended_at else "now"
        yield f"pairing: {pairing.user_id} from {pairing.started_at.isoformat()} to {until}"
    for parked in documents.parked:
        if _of(parked, key):
            place = f"{parked.stream}/{parked.sequence_number}"
            yield f"parked: {parked.reason} for {parked.holder} ({parked.detail}) from {place}"
    for ledger in documents.ledgers:
        if ledger.id == key.device_id:
            yield f"ledger: {ledger.model_dump_json()}"
    if not key.mid:
        all_of_it = expected.verdicts.values()
        whats = Counter(each.what for each in all_of_it if each.event.device_id == key.device_id)
        yield f"must be: {', '.join(f'{count} {what}' for what, count in whats.items())}"


def _log_lines(key: Key, names: set[str], logs: Sequence[Path]) -> Iterator[str]:
    """Lines with the message's correlation id, or with its device and mid."""
    count = 0
    for path in logs:
        for line in path.read_text(errors="replace").splitlines():
            entry = _entry(line)
            by_id = entry.get("correlation_id") in names
            by_mid = (entry.get("device_id"), entry.get("mid")) == (key.device_id, key.mid)
            if (by_id or by_mid) and count < MOST_LOG_LINES:
                count += 1
                yield f"{path.stem}: {line}"


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _of(parked: Any, key: Key) -> bool:
    return (parked.device_id, parked.mid) == (key.device_id, key.mid)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
