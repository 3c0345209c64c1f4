"""Passwords: what one may be, and hashing them with Argon2id."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from shared.errors import InvalidRequest, Unavailable

T = TypeVar("T")

SHORTEST, LONGEST = 10, 200  # characters
AT_ONCE = 2  # each takes 64 MiB and 0.1 s of a core, by default
MAX_WAITING = 100  # more would wait longer than their clients do


def new_password() -> str:
    """96 random bits, for who is given one."""
    return secrets.token_urlsafe(12)


def new_passwords(memory_kib: int) -> "Passwords":
    """With 64 MiB it is the second choice of RFC 9106, section 4."""
    return Passwords(PasswordHasher(memory_cost=memory_kib))


def check_password(password: str, username: str) -> None:
    """Raises InvalidRequest."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"A password is {SHORTEST} to {LONGEST} characters.")
    if password.casefold() == username.casefold():
        raise InvalidRequest("The password must not be the username.")


@dataclass
class Passwords:
    """Hashes in threads, few at once, so that memory and processor are there for others too.

    Raises Unavailable where too many wait.
    """

    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _waiting: int = 0
    _nobodys: str = ""

    async def hash(self, password: str) -> str:
        """With a salt of its own."""
        return await self._in_turn(self._hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Without a stored hash it is False, and takes as long."""
        if stored is None:
            self._nobodys = self._nobodys or await self.hash(new_password())
        return await self._in_turn(self._verify, stored or self._nobodys, password) and bool(stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self.hasher.check_needs_rehash(stored)

    async def _in_turn(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many people sign in at the same time; try again in a moment.")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self.hasher.hash(_normal(password))

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self.hasher.verify(stored, _normal(password))
        except VerificationError:
            return False


def _normal(password: str) -> str:
    """Keyboards write the same letter in several ways."""
    return unicodedata.normalize("NFKC", password)
