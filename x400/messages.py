"""Device-to-cloud messages: kinds, limits, and the MQTT topic that carries their properties."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from urllib.parse import quote

from x400.errors import ErrorCode, IomoteError

DATA_BYTES = 3750
NOTIFICATION_BYTES = 100
PROPERTY_CHARACTERS = 256  # of a content type, a content encoding or a route


class Kind(StrEnum):
    """The property `type` of a message."""

    DATA = "data"
    NOTIFICATION = "notification"
    MANAGEMENT = "management"


class Level(IntEnum):
    """The property `level` of a notification."""

    INFO = 1
    WARNING = 2
    ALARM = 3


class Event(StrEnum):
    """What a gateway tells about itself, in management messages."""

    STARTED = "started"
    REBOOTED = "rebooted"
    APP_RESTARTED = "app_restarted"
    QUOTA_REACHED = "quota_reached"
    STORAGE_FULL = "storage_full"
    NETWORK_CHANGED = "network_changed"


@dataclass(frozen=True)
class Draft:
    """A message before it is stored."""

    kind: Kind
    body: bytes
    level: Level | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    user_route: str | None = None


@dataclass(frozen=True)
class Stored:
    """A message in the store, under the id that it keeps for ever."""

    mid: int
    created_ms: int  # Unix time
    draft: Draft

    def topic(self, device_id: str) -> str:
        """Where IoT Hub takes it; properties are percent-encoded as it wants them."""
        created = datetime.fromtimestamp(self.created_ms / 1000, UTC)
        draft = self.draft
        properties = {
            "$.mid": str(self.mid),
            "$.ctime": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "$.ct": draft.content_type,
            "$.ce": draft.content_encoding,
            "type": draft.kind.value,
            "level": None if draft.level is None else str(draft.level.value),
            "user_route": draft.user_route,
        }
        bag = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}"
            for name, value in properties.items()
            if value is not None
        )
        return f"devices/{device_id}/messages/events/{bag}"


@dataclass(frozen=True)
class Outcome:
    """What the app was told about a message: `stored` is durable, or None with a code."""

    code: int  # 0, or a negative IOMOTE_ERR_*
    draft: Draft
    stored: Stored | None


def data(
    body: bytes,
    content_type: str | None = None,
    content_encoding: str | None = None,
    user_route: str | None = None,
) -> Draft:
    """A data message of 1 to 3750 bytes. Raises IomoteError."""
    _check_size(body, DATA_BYTES)
    for text in (content_type, content_encoding, user_route):
        if text is not None and not (
            0 < len(text) <= PROPERTY_CHARACTERS and text.isascii() and text.isprintable()
        ):
            # The hub would cut the connection, again and again: this message blocks the line.
            raise IomoteError(
                ErrorCode.IOMOTE_ERR_DATA,
                f"a content type, content encoding or route has 1 to {PROPERTY_CHARACTERS} "
                "printable ASCII characters",
            )
    return Draft(Kind.DATA, body, None, content_type, content_encoding, user_route)


def notification(level: int, body: bytes) -> Draft:
    """A notification of 1 to 100 bytes, level 1 to 3. Raises IomoteError."""
    if level not in set(Level):
        raise IomoteError(
            ErrorCode.IOMOTE_ERR_DATA, "the level is 1 (info), 2 (warning) or 3 (alarm)"
        )
    _check_size(body, NOTIFICATION_BYTES)
    return Draft(Kind.NOTIFICATION, body, Level(level))


def management(event: Event, detail: str) -> Draft:
    """An event of the gateway itself, for the device's timeline."""
    body = json.dumps({"event": event.value, "detail": detail}, ensure_ascii=False)
    return Draft(Kind.MANAGEMENT, body.encode(), None, "application/json", "utf-8")


def _check_size(body: bytes, limit: int) -> None:
    if not body:
        raise IomoteError(ErrorCode.IOMOTE_ERR_PAYLOAD, "the message is empty")
    if len(body) > limit:
        raise IomoteError(
            ErrorCode.IOMOTE_ERR_MSG_SIZE, f"{len(body)} bytes; at most {limit} are taken"
        )
