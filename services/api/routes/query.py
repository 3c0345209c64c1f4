"""Query parameters, read strictly: each is known, given once, and text."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.errors import InvalidRequest


def dependants(dependant: Dependant) -> Iterator[Dependant]:
    """A route's own, and those of everything that it depends on."""
    yield dependant
    for inner in dependant.dependencies:
        yield from dependants(inner)


def query_names(dependant: Dependant) -> tuple[str, ...]:
    """The query parameters that a route takes, sorted."""
    return tuple(
        sorted({field.alias for each in dependants(dependant) for field in each.query_params})
    )


def check_query(request: Request, known: tuple[str, ...]) -> None:
    """Raises InvalidRequest; its words repeat nothing of what was sent, which may be a key."""
    try:
        text = request.scope["query_string"].decode("ascii")
        given = parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:  # not ASCII, or percent-encoding that is not UTF-8
        raise InvalidRequest("The query is not percent-encoded UTF-8.") from None
    counts = Counter(name for name, _ in given)
    if not counts.keys() <= set(known):
        takes = f"those it takes are {', '.join(known)}" if known else "it takes none"
        raise InvalidRequest(f"This call does not know a query parameter that was sent; {takes}.")
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise InvalidRequest(f"These query parameters are sent twice: {', '.join(repeated)}.")
    if any("\0" in value for _, value in given):
        raise InvalidRequest("A query parameter has the character NUL.")
