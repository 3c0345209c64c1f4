"""What the tokens of one connection open."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import quote

from emulator.amqp.node import Right, Service
from emulator.sas import PREFIX, SasError, SasToken


class Authorization:
    """The tokens put on a connection, the latest for each audience."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._tokens: dict[str, SasToken] = {}

    def put(self, audience: str, token: str) -> None:
        """Take a token for an audience: `sb://host/entity`. Raises SasError where it opens none."""
        parsed = SasToken.parse(token)
        address = audience_path(audience)
        services = [s for s in self._services if s.owns(address)] if address else self._services
        refusal = SasError("nothing here has that name")
        for service in services:
            try:
                if service.rights(address, parsed):
                    self._tokens[audience.lower()] = parsed
                    return
            except SasError as problem:
                refusal = problem
        raise refusal

    def put_password(self, host: str, username: str, password: str) -> None:
        """SASL PLAIN: the rule's name and key, or (IoT Hub) a token as the password.

        Nothing is checked yet: which rule is meant is known when an address is attached.
        """
        if not password.startswith(PREFIX):
            password = _sign(host, username, password)
        self._tokens[f"sasl://{host}"] = SasToken.parse(password)

    def rights(self, service: Service, address: str) -> frozenset[Right]:
        """What all tokens together allow on an address. Raises SasError where that is nothing."""
        allowed: frozenset[Right] = frozenset()
        refusal = SasError("no token was put for it")
        for token in self._tokens.values():
            try:
                allowed |= service.rights(address, token)
            except SasError as problem:
                refusal = problem
        if not allowed:
            raise refusal
        return allowed

    def expire(self, now: float) -> bool:
        """Forget the tokens whose time is over; whether there were any."""
        over = [audience for audience, token in self._tokens.items() if token.expiry <= now]
        for audience in over:
            del self._tokens[audience]
        return bool(over)


def audience_path(audience: str) -> str:
    """`sb://host:5672/entity/` is `entity`; an audience always begins with a host."""
    _, _, rest = audience.rpartition("://")
    return rest.partition("/")[2].strip("/")


def address_path(address: str) -> str:
    """`amqps://host:5671/entity` and `/entity` are `entity`."""
    if "://" in address:
        return audience_path(address)
    return address.strip("/")


def _sign(host: str, key_name: str, key: str) -> str:
    resource, expiry = quote(host, safe=""), int(time.time()) + 10 * 365 * 86400
    digest = hmac.new(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = quote(base64.b64encode(digest), safe="")
    return f"{PREFIX}sr={resource}&sig={signature}&se={expiry}&skn={quote(key_name, safe='')}"
