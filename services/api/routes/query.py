"""Query parameters, read strictly: each is known, given once, and written in one way."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.errors import InvalidRequest


def dependants(dependant: Dependant) -> Iterator[Dependant]:
    """A route's own, and those of everything that it depends on."""
    yield dependant
    for inner in dependant.dependencies:
        yield from dependants(inner)


@dataclass(frozen=True)
class Form:
    """How the values of a type are written; `said` is for people."""

    pattern: re.Pattern[str]
    said: str


# As JSON writes them. Pydantic alone takes 5.0, +5, 1_000, digits of other scripts, "yes" and "on".
_BOOLEAN = Form(re.compile("true|false"), "'true' or 'false'")
_INTEGER = Form(re.compile("-?(?:0|[1-9][0-9]*)"), "a whole number in plain digits, such as 20")


def query_forms(dependant: Dependant) -> Mapping[str, Form | None]:
    """The query parameters that a route takes, sorted; with the form of those that have one."""
    fields = [field for each in dependants(dependant) for field in each.query_params]
    return {
        field.alias: _form_of(field.field_info.annotation)
        for field in sorted(fields, key=lambda field: field.alias)
    }


def check_query(request: Request, known: Mapping[str, Form | None]) -> None:
    """Raises InvalidRequest; its words repeat nothing of what was sent, which may be a key."""
    try:
        text = request.scope["query_string"].decode("ascii")
        given = parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:  # not ASCII, or percent-encoding that is not UTF-8
        raise InvalidRequest("The query is not percent-encoded UTF-8.") from None
    counts = Counter(name for name, _ in given)
    if not counts.keys() <= known.keys():
        takes = f"those it takes are {', '.join(known)}" if known else "it takes none"
        raise InvalidRequest(f"This call does not know a query parameter that was sent; {takes}.")
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise InvalidRequest(f"These query parameters are sent twice: {', '.join(repeated)}.")
    for name, value in given:
        if "\0" in value:
            raise InvalidRequest("A query parameter has the character NUL.")
        form = known[name]
        if form is not None and not form.pattern.fullmatch(value):
            raise InvalidRequest(f"The query parameter {name} is {form.said}.")


def _form_of(annotation: Any) -> Form | None:
    types = [each for each in get_args(annotation) or (annotation,) if isinstance(each, type)]
    if any(issubclass(each, bool) for each in types):
        return _BOOLEAN
    return _INTEGER if any(issubclass(each, int) for each in types) else None
