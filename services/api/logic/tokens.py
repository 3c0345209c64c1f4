"""Tokens of sessions and invitations: 256 random bits after the account that they open."""

import hashlib
import secrets

from services.api.logic.ids import is_user_id

MAX_TOKEN = 200  # characters, more than any has


def new_token(user_id: str) -> str:
    """It names its account, so that a point read finds what it belongs to."""
    return f"{user_id}.{secrets.token_hex(32)}"


def account_of(token: str) -> str:
    """The user id in it; "" where it is no token."""
    user_id, _, secret = token.partition(".")
    return user_id if is_user_id(user_id) and secret else ""


def digest(token: str) -> str:
    """SHA-256 in hex: what is stored. A token is random, so one round is enough."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
