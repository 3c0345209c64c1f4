"""How ids and keys look, and how new ones are made."""

import hashlib
import re
import secrets

from shared.errors import InvalidRequest

MAX_KEY_NAME = 100

# Lower case only: a queue is named after the user id, and Service Bus ignores case in names.
_USER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_GROUP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEVICE_ID = re.compile(r"X400_[0-9a-f]{40}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
# Neither "." nor "..": in a URL these are no names.
_OTA_ID = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.-]{1,64}")
_RECORD_ID = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.-]{1,255}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEVICE_KEY = re.compile(r"[0-9A-Za-z]{64}")


def new_user_id() -> str:
    """64 random bits, a letter first."""
    return f"u{secrets.token_hex(8)}"


def new_group_id() -> str:
    """64 random bits, a letter first."""
    return f"g{secrets.token_hex(8)}"


def new_api_key() -> str:
    """256 random bits that need no quoting in a URL and never look like an option."""
    return secrets.token_hex(32)


def new_device_key() -> str:
    """64 characters, 256 random bits."""
    return secrets.token_hex(32)


def device_id_of(device_key: str) -> str:
    """`X400_` and the SHA-1 of the device key (design.md, "Messages").

    Raises InvalidRequest where the key cannot be one.
    """
    if not _DEVICE_KEY.fullmatch(device_key):
        raise InvalidRequest("A device key is 64 letters and digits; it is printed on the gateway.")
    return f"X400_{hashlib.sha1(device_key.encode(), usedforsecurity=False).hexdigest()}"


def is_user_id(text: str) -> bool:
    """Whether a text could be the id of an account."""
    return _USER_ID.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Whether a text could be the id of a gateway."""
    return _DEVICE_ID.fullmatch(text) is not None


def check_user_id(text: str) -> str:
    """Raises InvalidRequest."""
    if not is_user_id(text):
        raise InvalidRequest("A user id is 1 to 50 lower-case letters, digits and '-'.")
    return text


def check_device_id(text: str) -> str:
    """Raises InvalidRequest."""
    if not is_device_id(text):
        raise InvalidRequest("A device id is 'X400_' followed by 40 lower-case hex digits.")
    return text


def check_group_id(text: str) -> str:
    """Raises InvalidRequest."""
    if not _GROUP_ID.fullmatch(text):
        raise InvalidRequest("A group id is 1 to 64 letters, digits, '_' and '-'.")
    return text


def check_key_id(text: str) -> str:
    """The id of an API key. Raises InvalidRequest."""
    if not _KEY_ID.fullmatch(text):
        raise InvalidRequest("The id of an API key is 16 lower-case hex digits.")
    return text


def check_key_name(text: str) -> str:
    """What an API key is called. Raises InvalidRequest."""
    if not text.strip() or len(text) > MAX_KEY_NAME:
        raise InvalidRequest(f"A key's name is 1 to {MAX_KEY_NAME} characters.")
    return text


def check_ota_id(text: str) -> str:
    """The id of an app, an app's version or a firmware. Raises InvalidRequest."""
    if not _OTA_ID.fullmatch(text):
        raise InvalidRequest(
            "The id of an app, version or firmware is 1 to 64 letters, digits, '_', '.' and '-'."
        )
    return text


def check_record_id(text: str) -> str:
    """The id of a notification or of a parked message. Raises InvalidRequest."""
    if not _RECORD_ID.fullmatch(text):
        raise InvalidRequest(
            "The id of a notification or message is 1 to 255 letters, digits, '_', '.' and '-'."
        )
    return text


def is_message_id(text: str) -> bool:
    """Whether a text could be the id of a user message."""
    return _UUID.fullmatch(text) is not None


def check_message_id(text: str) -> str:
    """The id of a user message, a UUID. Raises InvalidRequest."""
    if not is_message_id(text):
        raise InvalidRequest("The id of a user message is a UUID in lower case.")
    return text


def check_job_id(text: str) -> str:
    """The id of an order over the air, a UUID. Raises InvalidRequest."""
    if not _UUID.fullmatch(text):
        raise InvalidRequest("The id of a job is a UUID in lower case.")
    return text
