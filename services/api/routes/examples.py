"""An example of each entity, from those of its fields."""

from collections.abc import Mapping
from typing import Any

_OF_TYPE: Mapping[str, Any] = {
    "boolean": False,
    "integer": 0,
    "number": 0,
    "string": "",
    "null": None,
    "object": {},
}
_OF_FORMAT = {"date-time": "2026-03-14T12:00:00Z", "date": "2026-03-14"}


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that the schema allows: its own example, or one that is put together."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("example", "const", "default"):
        if given in schema:
            return schema[given]
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if alternatives in schema:
            return example_of(schema[alternatives][0], schemas)
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: example_of(field, schemas) for name, field in fields}
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), schemas)]
    return _OF_FORMAT.get(schema.get("format", ""), _OF_TYPE.get(schema.get("type", "")))
