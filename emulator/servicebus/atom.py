"""Queues as the administration REST writes them: ATOM entries with a QueueDescription."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from emulator.servicebus.iso8601 import FOREVER, format_duration, format_time
from emulator.servicebus.queue import Queue
from emulator.servicebus.settings import MAX_MESSAGE_BYTES, MEBIBYTE, AccessRule

ATOM = "http://www.w3.org/2005/Atom"
SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

_LARGE_MESSAGES_SINCE = "2021-05"


class Page(NamedTuple):
    """A part of a list at a URL."""

    url: str
    version: str
    skip: int
    top: int
    more: bool


def queue_entry(base: str, version: str, queue: Queue, times: tuple[int, int, int]) -> str:
    """One queue. `base` is the namespace's URL; times are created, updated, accessed."""
    created, updated, _ = times
    url = f"{base}/{quote(queue.name)}?api-version={version}"
    return (
        f'<entry xmlns="{ATOM}"><id>{escape(url)}</id><title type="text">{queue.name}</title>'
        f"<published>{format_time(created)}</published><updated>{format_time(updated)}</updated>"
        f"<author><name>{escape(base.partition('://')[2])}</name></author>"
        f'<link rel="self" href={quoteattr(url)}/><content type="application/xml">'
        f'<QueueDescription xmlns="{SERVICE_BUS}" xmlns:i="{INSTANCE}">'
        f"{_description(queue, times, version)}</QueueDescription></content></entry>"
    )


def namespace_entry(base: str, version: str, created: int) -> str:
    """The namespace itself, as `GET /$namespaceinfo` answers."""
    name = escape(base.partition("://")[2].partition(":")[0])
    url = f"{base}/$namespaceinfo?api-version={version}"
    return (
        f'<entry xmlns="{ATOM}"><id>{escape(url)}</id><title type="text">{name}</title>'
        f"<updated>{format_time(created)}</updated><author><name>{name}</name></author>"
        f'<link rel="self" href={quoteattr(url)}/><content type="application/xml">'
        f'<NamespaceInfo xmlns="{SERVICE_BUS}" xmlns:i="{INSTANCE}">'
        f"<CreatedTime>{format_time(created)}</CreatedTime><MessagingSKU>Standard</MessagingSKU>"
        f"<ModifiedTime>{format_time(created)}</ModifiedTime><Name>{name}</Name>"
        "<NamespaceType>Messaging</NamespaceType></NamespaceInfo></content></entry>"
    )


def feed(title: str, entries: Iterable[str], page: Page, now: int) -> str:
    """A list of entries; a second link leads to the next page where there is one."""

    def link(relation: str, skip: int) -> str:
        address = f"{page.url}?api-version={page.version}&$skip={skip}&$top={page.top}"
        return f'<link rel="{relation}" href={quoteattr(address)}/>'

    following = link("next", page.skip + page.top) if page.more else ""
    return (
        f'<feed xmlns="{ATOM}"><title type="text">{title}</title><id>{escape(page.url)}</id>'
        f"<updated>{format_time(now)}</updated>{link('self', page.skip)}{following}"
        f"{''.join(entries)}</feed>"
    )


def no_entity(url: str, now: int) -> str:
    """What Azure answers, with 200, to GET of an entity that does not exist."""
    return (
        f'<feed xmlns="{ATOM}"><title type="text">Publicly Listed Services</title>'
        f"<subtitle type='text'>This is the list of publicly-listed services currently available."
        f"</subtitle><id>{escape(url)}</id><updated>{format_time(now)}</updated></feed>"
    )


def error(status: int, detail: str) -> str:
    return f"<Error><Code>{status}</Code><Detail>{escape(detail)}</Detail></Error>"


def _description(queue: Queue, times: tuple[int, int, int], version: str) -> str:
    """The fields in the order of Azure's schema."""
    settings = queue.settings
    active, deferred, scheduled, _ = queue.active.log.totals
    dead = queue.dead_letter.log.totals[0] + queue.dead_letter.log.totals[1]
    created, updated, accessed = map(format_time, times)
    counts = {
        "ActiveMessageCount": active + deferred,
        "DeadLetterMessageCount": dead,
        "ScheduledMessageCount": scheduled,
        "TransferMessageCount": 0,
        "TransferDeadLetterMessageCount": 0,
    }
    fields: list[tuple[str, str | int | bool]] = [
        ("LockDuration", format_duration(settings.lock_duration)),
        ("MaxSizeInMegabytes", settings.max_size_mb),
        ("RequiresDuplicateDetection", settings.requires_duplicate_detection),
        ("RequiresSession", False),
        ("DefaultMessageTimeToLive", format_duration(settings.default_ttl)),
        ("DeadLetteringOnMessageExpiration", settings.dead_letter_expired),
        ("DuplicateDetectionHistoryTimeWindow", format_duration(settings.duplicate_window)),
        ("MaxDeliveryCount", settings.max_delivery_count),
        ("EnableBatchedOperations", settings.batched_operations),
        ("SizeInBytes", queue.size),
        ("MessageCount", active + deferred + dead + scheduled),
        ("IsAnonymousAccessible", False),
    ]
    rules = "".join(
        f'<AuthorizationRule i:type="SharedAccessAuthorizationRule">{_rule_fields(rule)}'
        "</AuthorizationRule>"
        for rule in queue.rules
    )
    later: list[tuple[str, str | int | bool]] = [
        ("Status", settings.status),
        ("CreatedAt", created),
        ("UpdatedAt", updated),
        ("AccessedAt", accessed),
        ("SupportOrdering", True),
    ]
    if settings.user_metadata:
        later.insert(1, ("UserMetadata", settings.user_metadata))
    last: list[tuple[str, str | int | bool]] = [
        ("AutoDeleteOnIdle", FOREVER),
        ("EnablePartitioning", False),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", False),
    ]
    if version >= _LARGE_MESSAGES_SINCE:
        last.append(("MaxMessageSizeInKilobytes", MAX_MESSAGE_BYTES * 1024 // MEBIBYTE))
    details = "".join(f"<d2p1:{name}>{count}</d2p1:{name}>" for name, count in counts.items())
    return (
        f"{_elements(fields)}<AuthorizationRules>{rules}</AuthorizationRules>{_elements(later)}"
        f'<CountDetails xmlns:d2p1="{COUNTS}">{details}</CountDetails>{_elements(last)}'
    )


def _rule_fields(rule: AccessRule) -> str:
    rights = "".join(f"<AccessRights>{right}</AccessRights>" for right in sorted(rule.rights))
    fields: list[tuple[str, str | int | bool]] = [
        ("CreatedTime", format_time(rule.created_at)),
        ("ModifiedTime", format_time(rule.modified_at)),
        ("KeyName", rule.name),
        ("PrimaryKey", rule.primary_key),
        ("SecondaryKey", rule.secondary_key),
    ]
    return (
        "<ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue>"
        f"<Rights>{rights}</Rights>{_elements(fields)}"
    )


def _elements(fields: list[tuple[str, str | int | bool]]) -> str:
    return "".join(f"<{name}>{escape(_text(value))}</{name}>" for name, value in fields)


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
