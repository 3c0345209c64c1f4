"""What ids, names and versions may look like. Each check raises InvalidRequest."""

import re
import unicodedata

from shared.errors import InvalidRequest
from shared.schemas.artifacts import VERSION_PATTERN

MAX_NAME = 100
MAX_NOTE = 1000

_VERSION = re.compile(VERSION_PATTERN)
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,64}")
# They stand in blobs' names and in addresses.
_USER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_ID = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.-]{1,64}")
_SEPARATORS = re.compile(r"[/\\]")
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # and lone surrogates, which UTF-8 cannot carry


def check_user_id(text: str) -> None:
    """Of an account."""
    if not _USER_ID.fullmatch(text):
        raise InvalidRequest("A user id is 1 to 50 lower-case letters, digits and '-'.")


def check_id(text: str) -> None:
    """Of an app."""
    if not _ID.fullmatch(text):
        raise InvalidRequest("An app's id is 1 to 64 letters, digits, '_', '.' and '-'.")


def check_version(text: str) -> None:
    """ "a.b.c"."""
    if not _VERSION.fullmatch(text):
        raise InvalidRequest('A version is "a.b.c", each 0 to 255, such as 1.4.0.')


def check_type(text: str) -> None:
    """Of gateways."""
    if not _TYPE.fullmatch(text):
        raise InvalidRequest("A gateway's type is 1 to 64 letters, digits, '_' and '-'.")


def check_app_name(text: str) -> None:
    """As people call an app; the gateway reports it when it runs it."""
    if not text.strip() or len(text) > MAX_NAME:
        raise InvalidRequest(f"An app's name is 1 to {MAX_NAME} characters.")
    if {".", ".."} & set(_SEPARATORS.split(text)):
        raise InvalidRequest("An app's name is no path: neither '.' nor '..' stands in it alone.")
    _check_printable(text, "An app's name")


def check_file_name(text: str) -> None:
    """As people call a binary; "" for none. Never part of a path of ours."""
    if len(text) > MAX_NAME:
        raise InvalidRequest(f"A binary's name is at most {MAX_NAME} characters.")
    if _SEPARATORS.search(text) or text in (".", ".."):
        raise InvalidRequest(
            "A binary's name is a name alone, without a folder: neither '/' nor '\\' in it."
        )
    _check_printable(text, "A binary's name")


def check_note(text: str) -> None:
    """Lines of text, for people."""
    if len(text) > MAX_NOTE:
        raise InvalidRequest(f"A note is at most {MAX_NOTE} characters.")
    if "\0" in text:
        raise InvalidRequest("A note has the character NUL.")


def _check_printable(text: str, what: str) -> None:
    # A line break would let two names sign as one (`signing.py`).
    if any(unicodedata.category(each) in _CONTROLS for each in text):
        raise InvalidRequest(f"{what} has no line breaks and no control characters.")
