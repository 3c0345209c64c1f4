"""One call in the reference."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from services.api.routes.dependencies import PREFIX
from services.api.routes.docs_schema import fields, type_of
from services.api.routes.docs_text import example, paragraphs, prose, row

# Refusals of every call on an account, which the page tells once.
COMMON = ("400", "401", "403", "429", "503")


def render_call(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> str:
    """Its path, parameters, body, replies and refusals."""
    name = operation["operationId"]
    return (
        f'<article id="{name}"><h3><a href="#{name}">{escape(operation["summary"])}</a></h3>'
        f'<p class="call"><b class="{method.lower()}">{method}</b> <code>{_path(path)}</code></p>'
        f'<p class="quiet">{_needs(operation)}</p>'
        f"{paragraphs(operation.get('description', ''))}"
        f"{_parameters(operation)}{_body(operation.get('requestBody'), schemas)}"
        f"{_answers(operation['responses'])}</article>"
    )


def _path(path: str) -> str:
    if not path.startswith(PREFIX):
        return escape(path)
    return f'<span class="prefix">{escape(PREFIX)}</span>{escape(path.removeprefix(PREFIX))}'


def _needs(operation: Mapping[str, Any]) -> str:
    name = f"<code>{operation['operationId']}</code>"
    scopes = [scope for each in operation["security"] for some in each.values() for scope in some]
    if scopes:
        return f"{name}, needs the scope <code>{escape(scopes[0])}</code>"
    if any("OperatorKey" in each for each in operation["security"]):
        return f"{name}, needs the operator's key"
    return f"{name}, needs no key"


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        row(
            each["name"],
            f"<i>{each['in']}, {type_of(each['schema'])}{_default(each)}</i> "
            f"{prose(each.get('description', ''))}",
        )
        for each in operation.get("parameters", [])
        if f"{{{each['name']}}}" not in PREFIX
    )
    return f"<h4>Parameters</h4><table><tbody>{rows}</tbody></table>" if rows else ""


def _default(parameter: Mapping[str, Any]) -> str:
    default = parameter["schema"].get("default")
    if parameter["required"] or default is None or default == "":
        return ""
    return f", {escape(json.dumps(default))} where it is left out"


def _body(body: Mapping[str, Any] | None, schemas: Mapping[str, Any]) -> str:
    if body is None:
        return ""
    shown = ""
    for media_type, content in body["content"].items():
        schema = content.get("schema", {})
        entity = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
        examples = [content["example"]] if "example" in content else []
        examples += entity.get("examples", [])
        shown += (
            f"<p><i><code>{escape(media_type)}</code>, {type_of(schema)}</i> "
            f"{prose(body.get('description', ''))}</p>{fields(entity)}"
            f"{''.join(_example(each) for each in examples[:1])}"
        )
    return f"<h4>Body</h4>{shown}"


def _example(value: Any) -> str:
    return f"<pre>{escape(value)}</pre>" if isinstance(value, str) else example(value)


def _answers(answers: Mapping[str, Any]) -> str:
    rows = "".join(
        row(status, _answer(answer)) for status, answer in answers.items() if status not in COMMON
    )
    return f"<h4>Replies</h4><table><tbody>{rows}</tbody></table>"


def _answer(answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    about = prose(answer["description"])
    schema = content.get("schema", {})
    if schema.get("$ref", "").endswith("/Error"):
        sentence = content.get("example", {}).get("error", "")
        return f"{about}<br><span class='quiet'>“{escape(sentence)}”</span>"
    shown = example(content["example"]) if "example" in content else ""
    return f"<i>{type_of(schema)}</i> {about}{shown}"
