"""Entities and their fields in the reference."""

from collections.abc import Mapping
from html import escape
from typing import Any

from services.api.routes.docs_text import example, paragraphs, prose, row

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_FORMATS = {"date-time": "time (ISO 8601)", "date": "day (ISO 8601)", "binary": "bytes"}


def render_entity(name: str, schema: Mapping[str, Any]) -> str:
    """An entity with its fields, or a type with its values."""
    values = ", ".join(f"<code>{escape(str(value))}</code>" for value in schema.get("enum", []))
    shown = "".join(example(each) for each in schema.get("examples", [])[:1])
    return (
        f'<article id="{escape(name)}"><h3>{escape(name)}</h3>'
        f"{paragraphs(schema.get('description', ''))}{values}{fields(schema)}{shown}</article>"
    )


def fields(schema: Mapping[str, Any]) -> str:
    """A table of an object's fields; "" for anything else."""
    required = schema.get("required", [])
    rows = "".join(
        row(name, _about(field, optional=_is_request(schema) and name not in required))
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table><tbody>{rows}</tbody></table>" if rows else ""


def type_of(schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if alternatives in schema:
            return " or ".join(type_of(each) for each in schema[alternatives])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}{_bounds(schema)}"
    kind = _TYPES.get(schema.get("type", ""), "any JSON value")
    return _FORMATS.get(schema.get("format", ""), kind) + _bounds(schema)


def _is_request(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties") is False


def _about(field: Mapping[str, Any], *, optional: bool) -> str:
    kind = type_of(field) + (", may be left out" if optional else "")
    return f"<i>{kind}</i> {prose(field.get('description', ''))}"


def _bounds(schema: Mapping[str, Any]) -> str:
    for low, high, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " of them"),
        ("minimum", "maximum", ""),
    ):
        least, most = _whole(schema.get(low)), _whole(schema.get(high))
        if least and most is not None:
            return f", {least} to {most}{unit}"
        if most is not None:
            return f", at most {most}{unit}"
        if least is not None:
            return f", at least {least}{unit}"
    return ""


def _whole(bound: float | None) -> float | None:
    """FastAPI's document has bounds of whole numbers as 100.0."""
    return int(bound) if bound is not None and bound == int(bound) else bound
