"""Resource ids (`_rid`): the numbers of a database, a container and an item in base64.

Azure's form: 4 bytes for the database, 4 for the container (highest bit set), 8 for the
item; `/` is written `-`. The SDKs recognise a `_self` link by these lengths.
"""

import base64
import binascii

CONTAINER_BIT = 0x80000000


def database_rid(database: int) -> str:
    return _encode(database.to_bytes(4, "little"))


def container_rid(database: int, container: int) -> str:
    return _encode(database.to_bytes(4, "little") + (container | CONTAINER_BIT).to_bytes(4, "big"))


def item_rid(container: str, item: int) -> str:
    """The rid of an item in the container with the given rid."""
    return _encode(_decode(container) + item.to_bytes(8, "little"))


def item_number(rid: str) -> int | None:
    """The item's number, or None where the text is no rid of an item."""
    try:
        raw = _decode(rid)
    except (binascii.Error, ValueError):
        return None
    return int.from_bytes(raw[8:], "little") if len(raw) == 16 else None


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode().replace("/", "-")


def _decode(rid: str) -> bytes:
    return base64.b64decode(rid.replace("-", "/"), validate=True)
