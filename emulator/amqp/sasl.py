"""The SASL layer before AMQP (part 5 §5.3): who connects is settled later, by `$cbs`.

ANONYMOUS, EXTERNAL and MSSBCBS only say that tokens will follow; PLAIN brings a rule's name and
key, or a token, at once.
"""

from typing import Any

from emulator.amqp.authorization import Authorization
from emulator.amqp.frames import FRAME_TYPE_SASL, Performative, frame
from emulator.amqp.types import Array, Symbol, UByte
from emulator.sas import SasError

_OK = 0
_AUTH = 1
_MECHANISMS = ("ANONYMOUS", "PLAIN", "EXTERNAL", "MSSBCBS")


def mechanisms() -> bytes:
    """The frame that offers what there is."""
    names = Array(0xB3, map(Symbol, _MECHANISMS))
    return frame(0, Performative.SASL_MECHANISMS, [names], kind=FRAME_TYPE_SASL)


def outcome(fields: list[Any], authorization: Authorization) -> tuple[bool, bytes]:
    """The answer to a client's choice: whether it may go on, and the frame that says so."""
    mechanism, response, hostname = fields
    accepted = str(mechanism) in _MECHANISMS
    if mechanism == "PLAIN":
        accepted = _plain(response, hostname, authorization)
    code = UByte(_OK if accepted else _AUTH)
    return accepted, frame(0, Performative.SASL_OUTCOME, [code, None], kind=FRAME_TYPE_SASL)


def _plain(response: Any, hostname: Any, authorization: Authorization) -> bool:
    """RFC 4616: authorization identity, NUL, user name, NUL, password."""
    if not isinstance(response, bytes) or response.count(b"\0") != 2:
        return False
    try:
        _, username, password = response.decode().split("\0")
        host = hostname if isinstance(hostname, str) and hostname else "localhost"
        authorization.put_password(host.partition(":")[0], username, password)
    except (UnicodeDecodeError, SasError):
        return False
    return True
