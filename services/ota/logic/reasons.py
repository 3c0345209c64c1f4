"""Why a job is in its state: sentences that say what happened and what to do next."""

from datetime import UTC, datetime, timedelta

from services.ota.logic.reports import Installed
from shared.schemas.jobs import Job, JobKind, JobState

EXPIRED_ADDRESS = "The download's address had expired; the gateway gets a new one."
WAITS_FOR_VERSION = "The gateway says that it is installed; it has yet to report the new version."
UNPAIRED = "The gateway was unpaired."
GONE = "What was to be installed was deleted; upload it again and order that."
UNSIGNED = (
    "No key of the platform's has signed this file as it is kept now; upload it again under a new "
    "version and order that."
)
UNKNOWN_DEVICE = "IoT Hub does not know this gateway; ask the platform's operator to register it."

ORDER_AGAIN = "Order it again"
NOT_CONNECTED = "The gateway is not connected"
MAX_DETAIL = 200  # characters of what a gateway says

# By the code that a gateway reports (x400/ota_order.py).
CODES = {
    "no_device_key": "The gateway has no device key, which the download needs; set it up again",
    "bad_order": "The gateway does not understand the order; its firmware may be too old",
    "too_large": "It is larger than the gateway's memory for it; make it smaller",
    "download_failed": "The download did not get through; look at the gateway's connection",
    "refused": "The platform refused the download",
    "size_mismatch": "The file that arrived has another size than the one that was uploaded",
    "md5_mismatch": "The file that arrived is not the one that was uploaded (MD5)",
    "sha256_mismatch": "The file that arrived is not the one that was uploaded (SHA-256)",
    "bad_signature": "The gateway trusts no key that signed it; look at the keys it trusts",
    "install_failed": "The gateway could not install it",
    "power_lost": "The gateway lost its power while it installed, and runs what it ran before",
}
_SILENT = {
    JobState.SENT: "is connected but did not answer the order",
    JobState.ACCEPTED: "took the order but did not begin to download",
    JobState.DOWNLOADING: "stands still at {percent} % of the download",
    JobState.INSTALLING: "began to install but did not report the new version",
}
_WENT_AWAY = {
    JobState.QUEUED: "before the next attempt",
    JobState.SENT: "before it answered",
    JobState.ACCEPTED: "before it began to download",
    JobState.DOWNLOADING: "at {percent} % of the download",
    JobState.INSTALLING: "while it installed",
}


def told(error: str) -> str:
    """What a gateway's `error` means, without a full stop at its end."""
    code, _, detail = error.partition(":")
    detail = _short(detail)
    sentence = CODES.get(code.strip())
    if sentence is None:
        said = _short(error)
        return f"The gateway says: {said.rstrip('.')}" if said else "The gateway gave no reason"
    return f"{sentence} ({detail})" if detail else sentence


def away(job: Job, heard_at: datetime | None, ends_at: datetime) -> str:
    """Of a gateway that is not connected. `heard_at`: when it was heard of last; None for never."""
    since = f", last heard of at {_moment(heard_at)}" if heard_at is not None else " and never was"
    begun = job.state not in (JobState.QUEUED, JobState.SENT)
    does = "goes on" if begun else "gets the order"
    return f"{NOT_CONNECTED}{since}; it {does} when it connects, until {_moment(ends_at)}."


def superseded(newer: Job) -> str:
    """Of an order that another one took the place of."""
    what = f"{newer.name} {newer.version}".strip()
    return f"A newer order took its place: {what}, job {newer.id}."


def rejected(error: str) -> str:
    """Of what the gateway will not install."""
    return f"{told(error)}."


def failed(attempts: int, error: str) -> str:
    """Of an attempt after which none follows."""
    after = f" after {attempts} attempts" if attempts > 1 else ""
    return f"Given up{after}: {told(error)}. {ORDER_AGAIN} when that is put right."


def tried_again(job: Job, attempts: int, error: str, pause: timedelta) -> str:
    """Of an attempt after which another follows."""
    return (
        f"Attempt {job.attempt} of {attempts} failed: {told(error)}. "
        f"It is tried again in {duration(pause)}."
    )


def silent(job: Job, wait: timedelta, attempts: int) -> str:
    """Of a connected gateway that gave no sign for so long, while it is asked again."""
    return (
        f"Attempt {job.attempt} of {attempts}: the gateway {_stuck(job)} "
        f"for {duration(wait)}. The order is sent again."
    )


def given_up(job: Job, wait: timedelta, attempts: int) -> str:
    """Of a connected gateway that gave no sign in the last attempt."""
    after = f", in attempt {attempts} of {attempts}" if attempts > 1 else ""
    return (
        f"The gateway {_stuck(job)} for {duration(wait)}{after}. "
        f"Reboot it, and then order it again."
    )


def too_late(job: Job, life: timedelta) -> str:
    """Of an order whose time is over."""
    if job.silent_since is not None:
        return (
            f"It was not done within {duration(life)} of the order, although the gateway is "
            f"connected. {ORDER_AGAIN}."
        )
    if job.attempt == 1 and job.state in (JobState.QUEUED, JobState.SENT):
        return (
            f"The gateway did not connect for {duration(life)}. "
            f"Look at its power and its connection, then order it again."
        )
    return (
        f"The gateway went away {_WENT_AWAY[job.state].format(percent=job.percent)}, and was not "
        f"done within {duration(life)} of the order. "
        f"Look at its power and its connection, then order it again."
    )


def not_there(job: Job, installed: Installed) -> str:
    """Of a gateway that says it installed what it does not report to run."""
    reported = _short(installed.version) or "no version"
    if installed.version != job.version:
        return (
            f"The gateway says that it installed {job.version} but still reports {reported}. "
            f"See that the file is the one of this version, with this version in its code."
        )
    named = _short(installed.name) or "no name"
    return (
        f"The gateway runs version {job.version}, but its app calls itself '{named}' and not "
        f"'{job.name}'. Give it that name in its code, or upload it under that name."
    )


def cancelled(by: str) -> str:
    """Of an order that somebody took back."""
    return f"Cancelled by {by}." if by else "Cancelled."


def installed(job: Job) -> str:
    """Of a success."""
    what = "firmware" if job.kind is JobKind.FIRMWARE else "app"
    return f"The gateway reports this {what}'s version, {job.version}."


def duration(span: timedelta) -> str:
    """For people: in the largest unit that leaves no fraction worth a word."""
    seconds = span.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = seconds / size
        if count >= 1 and (count == int(count) or count >= 10):
            return _count(round(count), unit)
    return _count(max(1, round(seconds)), "second")


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _short(said: str) -> str:
    return " ".join(said.split())[:MAX_DETAIL]


def _stuck(job: Job) -> str:
    return _SILENT[job.state].format(percent=job.percent)
