"""The OpenAPI document: FastAPI's, with what happens around every call."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from services.api.logic.access import NEEDED
from services.api.routes.dependencies import PREFIX
from services.api.routes.errors import refusals
from services.api.routes.examples import RESULTS, completed, example_of
from services.api.routes.refusal_examples import example_of_refusal
from shared.schemas.contract import Error

JSON = "application/json"

DESCRIPTION = """
The cloud of the X400 gateway: your devices, their data's queue, their notifications, and messages,
apps and firmware to them.

Calls on an account are made under `/api/user/{userid}/{webapi_key}`. Put `-` in the key's place
and the key into the header `X-API-Key`, and it stands in no URL; a person who signed in sends
`Authorization: Bearer` with the session's token instead. Each call names the scope that it needs.

Every refusal carries a fitting HTTP status and the body `{"error": "..."}`, one sentence that says
what to do. What another account has answers exactly as what does not exist. Every reply carries
`X-Correlation-Id`; name it when you report a problem.

Requests are read strictly: an unknown query parameter or field, a wrong type, a body above its
limit is refused and changes nothing. Bodies are JSON in UTF-8, at most 64 KiB where nothing else is
said. URLs take 4 KiB of path and 16 KiB of query (414), headers 32 KiB (431).

Calls are counted for each key and session: `RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset` tell what is left of a minute's, and 429 with `Retry-After` when to go on. Wrong
keys are counted for the address they come from.

Lists come in pages: send a page's `next` as `cursor` of the next call until it is `""`. What can be
edited has an `ETag`; send it as `If-Match`, and a change that you have not seen is not overwritten
(412). Orders take an `Idempotency-Key`: sent again, they are carried out once.
"""

TAGS = {
    "devices": "Gateways that are paired with the account: pairing, reading, editing them.",
    "orders": "What a gateway is told to do.",
    "user messages": "What became of the messages to a gateway's app.",
    "groups": "Devices that are kept together, for a client of the account's own.",
    "notifications": "What gateways report on their own: infos, warnings, alarms.",
    "parked messages": "Data that could not be delivered to the account's queue yet.",
    "over the air": "Apps, their versions and firmware, and sending them to gateways.",
    "account": "The profile, the queue on which data arrives, the API keys.",
    "people": "Those who sign in: inviting them, their roles, their sessions, what they did.",
    "operator": "For the operator of this installation, with a key of its own.",
}

SCHEMES = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key of the account; `{webapi_key}` is `-` then.",
    },
    "Session": {
        "type": "http",
        "scheme": "bearer",
        "description": "A session's token, as `login` gave it; `{webapi_key}` is `-` then.",
    },
    "OperatorKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Operator-Key",
        "description": "The key of this installation's operator.",
    },
}

_SUCCESS = {"200": "Done as asked.", "201": "Made; the header `Location` says where."}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "When to try again, in seconds.",
        "schema": {"type": "integer", "minimum": 1, "examples": [5]},
    }
}
_UNUSED = ("HTTPValidationError", "ValidationError")  # FastAPI's 422: ours is a 400


def describe(app: FastAPI) -> None:
    """Let the application answer this document as its own."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation, in the document's order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    made = document["components"]["schemas"] | {Error.__name__: Error.model_json_schema()}
    schemas = document["components"]["schemas"] = dict(sorted(made.items()))
    for name in _UNUSED:
        schemas.pop(name, None)
    for schema in schemas.values():
        _without_titles(schema)
    for schema in schemas.values():
        if "properties" in schema:
            examples = schema.get("examples") or [example_of(schema, schemas)]
            schema["examples"] = [completed(each, schema, schemas) for each in examples]
    for _, path, operation in operations(document):
        _complete(path, operation, schemas)
    document["components"]["securitySchemes"] = SCHEMES
    document["servers"] = [{"url": "/", "description": "This installation."}]
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    document["tags"] = [
        {"name": name, "description": text} for name, text in TAGS.items() if name in used
    ]
    return document


def _complete(path: str, operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    operation["tags"] = operation["tags"][-1:]  # a route's own tag instead of its router's
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _of_parameter(parameter["schema"])
    operation["security"] = _security(path, operation["operationId"])
    answers = operation["responses"]
    answers.pop("422", None)
    for status, answer in refusals(*_statuses(path, operation)).items():
        answers.setdefault(str(status), answer)
    operation["responses"] = {status: answers[status] for status in sorted(answers)}
    for status, answer in answers.items():
        if sentence := _says(path, operation["operationId"], status):
            answer["content"][JSON]["example"] = {"error": sentence}
        if status in ("429", "503"):
            answer["headers"] = _RETRY_AFTER
        if status in _SUCCESS:
            answer["description"] = _SUCCESS[status]
            content = answer.get("content", {}).get(JSON)
            if content and "schema" in content:
                content["schema"].pop("title", None)
                content.setdefault("example", example_of(content["schema"], schemas))
                if result := RESULTS.get(operation["operationId"]):
                    content["example"] = {"result": result}


def _says(path: str, operation_id: str, status: str) -> str | None:
    return example_of_refusal(operation_id, path, status) if status >= "400" else None


def _security(path: str, operation_id: str) -> list[dict[str, list[str]]]:
    if path.startswith(PREFIX):
        needed = [str(NEEDED[operation_id])]
        return [{"ApiKey": needed}, {"Session": needed}, {}]  # {}: the key in the path
    return [{"OperatorKey": []}] if path.startswith("/api/operator") else []


def _statuses(path: str, operation: Mapping[str, Any]) -> list[int]:
    """What routes/router.py may answer around a call, whatever the call itself does."""
    statuses = [400, 429, 503]
    if path.startswith(PREFIX):
        statuses += [401, 403]
    if JSON in operation.get("requestBody", {}).get("content", {}):
        statuses += [408, 413, 415]
    headers = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
    if "Idempotency-Key" in headers:
        statuses += [408, 409, 413]
    if "If-Match" in headers:
        statuses += [412]
    return statuses


def _of_parameter(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What it may be; None is where it is left out, and cannot be sent. The description stands
    beside the schema already."""
    kept = {key: schema[key] for key in schema if key not in ("title", "description", "anyOf")}
    alternatives = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(alternatives) > 1:
        return kept | {"anyOf": alternatives}
    return kept | dict(*alternatives)


def _without_titles(schema: dict[str, Any]) -> None:
    """FastAPI's titles repeat the names."""
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for inner in schema.get("properties", {}).values():
        _without_titles(inner)
