"""JSON bodies, read strictly: I-JSON (RFC 7493), bounded, and nothing that a store cannot keep."""

import json
import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from services.api.routes.body import ReadRequest, read_json_bytes
from shared.errors import InvalidRequest

MAX_JSON_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # what every JSON reader keeps exactly


async def with_json(request: Request, *, required: bool) -> Request:
    """The request with its JSON body read and checked.

    Raises UnsupportedMedia, InvalidRequest, TooSlow and TooLarge.
    """
    if not required and not _has_body(request):
        return request
    body = await read_json_bytes(request, MAX_JSON_BYTES)
    return ReadRequest(request, body, parse(body))


def parse(body: bytes) -> Any:
    """The value. Raises InvalidRequest, which says where the body is wrong and repeats nothing."""
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_exact,
        )
        _check(value)
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not JSON: {error.msg}, at character {error.pos}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    return value


def _has_body(request: Request) -> bool:
    return (
        "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidRequest("An object of the body has a field twice.")
    return value


def _no_constant(_name: str) -> None:
    raise InvalidRequest("NaN and Infinity are not JSON.")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidRequest("A number of the body is too large.")
    return value


def _exact(digits: str) -> int:
    if len(digits) > len(str(-MAX_INTEGER)) or abs(int(digits)) > MAX_INTEGER:
        raise InvalidRequest("A whole number of the body is beyond 2^53 - 1.")
    return int(digits)


def _check(value: Any) -> None:
    """Text that UTF-8 can carry, without NUL; no deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        for each in level:
            if isinstance(each, str):
                _check_text(each)
        containers = [each for each in level if isinstance(each, (list, dict))]
        if not containers:
            return
        level = [inner for container in containers for inner in _inside(container)]
    raise _too_deep()


def _inside(container: list[Any] | dict[str, Any]) -> Iterator[Any]:
    yield from container
    if isinstance(container, dict):
        yield from container.values()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidRequest("A text of the body has the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("A text of the body has half of a surrogate pair.") from None


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is nested more than {MAX_DEPTH} deep.")
