"""The reference at `/docs`, made from the OpenAPI document.

A page of our own rather than Swagger's: that one loads its script from elsewhere, which fails
on a machine without network and would run a stranger's code where API keys are typed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from services.api.routes.page import reply, template

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The calls, their refusals and the entities."""
    return reply(render(request.app.openapi()))


def render(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI 3.1 document."""
    operations = list(_operations(document))
    schemas = document["components"]["schemas"]
    return template("docs.html").substitute(
        title=escape(document["info"]["title"]),
        description=_paragraphs(document["info"]["description"]),
        contents="".join(_link(operation) for _, _, operation in operations),
        operations="".join(_operation(*one) for one in operations),
        entities="".join(_entity(name, schema) for name, schema in schemas.items()),
    )


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _link(operation: Mapping[str, Any]) -> str:
    return f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></li>'


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(_parameter(one) for one in operation.get("parameters", []))
    answers = "".join(_answer(status, one) for status, one in operation["responses"].items())
    return (
        f'<article id="{operation["operationId"]}"><h3>{escape(operation["summary"])}</h3>'
        f'<p class="call"><b>{method}</b> <code>{escape(path)}</code></p>'
        f"{_paragraphs(operation['description'])}{_body(operation.get('requestBody'))}"
        f"<table><tbody>{parameters}</tbody></table>"
        f"<table><tbody>{answers}</tbody></table></article>"
    )


def _parameter(parameter: Mapping[str, Any]) -> str:
    where = escape(parameter["in"])
    return _row(parameter["name"], f"<i>{where}</i> {_prose(parameter.get('description', ''))}")


def _body(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    ((media_type, content),) = body["content"].items()
    example = json.dumps(content["example"])
    return (
        f"<p>Body, <code>{escape(media_type)}</code>: {_prose(body['description'])} "
        f"For example <code>{escape(example)}</code></p>"
    )


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    if "example" in content:
        shown = json.dumps(content["example"])
        return _row(status, f"{_prose(answer['description'])}<br><code>{escape(shown)}</code>")
    return _row(status, f"<code>{_type(content.get('schema', {}))}</code>")


def _entity(name: str, schema: Mapping[str, Any]) -> str:
    fields = "".join(
        _row(field, f"<code>{_type(one)}</code>")
        for field, one in schema.get("properties", {}).items()
    )
    values = ", ".join(f"<code>{escape(value)}</code>" for value in schema.get("enum", []))
    about = f"{_paragraphs(schema.get('description', ''))}{values}"
    return (
        f'<article id="{escape(name)}"><h3>{escape(name)}</h3>{about}'
        f"<table><tbody>{fields}</tbody></table></article>"
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if schema.get("type") == "array":
        return f"[{_type(schema['items'])}, …]"
    return escape(str(schema.get("type", "any JSON value")))


def _row(name: str, value: str) -> str:
    return f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{value}</td></tr>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_prose(part)}</p>" for part in text.strip().split("\n\n") if part)


def _prose(text: str) -> str:
    """Descriptions are Markdown; of that, they use back-ticks alone."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
