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
# What a call's RESULT says, where it is no "queued"; a test holds it against the routes.
RESULTS: Mapping[str, str] = {
    "changePassword": "changed",
    "deleteApp": "deleted",
    "deleteAppVersion": "deleted",
    "deleteDevice": "deleted",
    "deleteGroup": "deleted",
    "deleteInvitation": "deleted",
    "discardParkedMessage": "discarded",
    "endSession": "ended",
    "logout": "signed out",
    "operatorDeleteFirmware": "deleted",
    "rebootDevice": "rebooting",
    "redeliverParkedMessage": "ordered",
    "removePerson": "removed",
    "revokeKey": "revoked",
}
_OF_FORMAT = {"date-time": "2026-03-14T12:00:00Z", "date": "2026-03-14"}


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that the schema allows: its own example, or one that is put together."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    for one in ("example", "const", "default"):
        if one in schema:
            return schema[one]
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if alternatives in schema:
            return example_of(schema[alternatives][0], schemas)
    return _put_together(schema, schemas)


def _put_together(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if "properties" in schema:
        required = schema.get("required", [])
        fields = schema["properties"].items()
        return {
            name: example_of(field, schemas)
            for name, field in fields
            if name in required or "examples" in field
        }
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), schemas)]
    if "minimum" in schema:
        return schema["minimum"]
    return _OF_FORMAT.get(schema.get("format", ""), _OF_TYPE.get(schema.get("type", "")))


def completed(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example in the fields' order, and with the nulls: FastAPI sorts it and takes them out."""
    if "$ref" in schema:
        return completed(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if isinstance(value, list):
        return [completed(each, schema.get("items", {}), schemas) for each in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    return {
        name: completed(value.get(name), field, schemas)
        for name, field in schema["properties"].items()
        if name in value or name in schema.get("required", [])
    }
