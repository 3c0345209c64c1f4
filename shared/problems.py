"""What is wrong with a request that pydantic refuses, in words for who sent it.

Where and why only: the value itself may be a key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

SHOWN = 5  # problems of one request
NAME_SHOWN = 50  # characters

_OF_TYPE = {
    "dict_type": "should be a JSON object",
    "extra_forbidden": "no such field",
    "missing": "is missing",
    "model_attributes_type": "should be a JSON object",
    "model_type": "should be a JSON object",
}
_OF_PATTERN = {
    r"\S": "needs a character that can be seen",
    r"^[^\x00-\x1f\x7f]*$": "may have no control characters",
}


def sentence(errors: Sequence[Mapping[str, Any]], body: Any) -> str:
    """All of it in one sentence; `body` is the type of the JSON body, if there is one."""
    problems = [_problem(each, body) for each in errors[:SHOWN]]
    if (more := len(errors) - SHOWN) > 0:
        problems.append(f"and {more} more")
    unknown = next((each for each in errors if each["type"] == "extra_forbidden"), None)
    if unknown and (model := _model_at(body, unknown["loc"][1:-1])):
        problems.append(f"the fields are {', '.join(sorted(model.model_fields))}")
    return f"The request cannot be understood: {'; '.join(problems)}."


def _problem(error: Mapping[str, Any], body: Any) -> str:
    place = ".".join(str(part)[:NAME_SHOWN] for part in error["loc"])
    return f"{place}: {_why(error, body)}"


def _why(error: Mapping[str, Any], body: Any) -> str:
    if error["type"] == "string_pattern_mismatch":
        return _OF_PATTERN.get(error["ctx"]["pattern"]) or _form(_field_at(body, error["loc"][1:]))
    message: str = error["msg"]
    return _OF_TYPE.get(error["type"], message.removeprefix("Value error, ").rstrip("."))


def _form(field: FieldInfo | None) -> str:
    if field and field.examples:
        return f'has not the form of "{field.examples[0]}"'
    if field and field.description:
        return f"does not fit: {field.description.rstrip('.')}"
    return "is not of its form, which /docs shows"


def _field_at(body: Any, path: Sequence[str | int]) -> FieldInfo | None:
    model = _model_at(body, path[:-1])
    return model.model_fields.get(str(path[-1])) if model else None


def _model_at(kind: Any, path: Sequence[str | int]) -> type[BaseModel] | None:
    """The entity that stands at a place of a body of this type; None for anything else."""
    model = next(_models(kind), None)
    for step in path:
        if isinstance(step, int) or model is None:  # of a list, whose entities are alike
            continue
        field = model.model_fields.get(step)
        model = next(_models(field.annotation), None) if field else None
    return model


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Those that a type is made of: itself, or in a list, a union or Annotated."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)
