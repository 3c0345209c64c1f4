"""The OpenAPI document at `/openapi.json`, and the reference at `/docs`, which is made from it.

A page of our own rather than Swagger's: that one loads its script from elsewhere, which fails
on a machine without network and would run a stranger's code where API keys are typed.
"""

import json
from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from services.api.routes.dependencies import PREFIX
from services.api.routes.docs_call import COMMON, render_call
from services.api.routes.docs_schema import render_entity
from services.api.routes.docs_text import paragraphs, prose, row
from services.api.routes.openapi import operations
from services.api.routes.page import inline, policy_of, template
from services.api.routes.prerendered import Prerendered

router = APIRouter(include_in_schema=False)

Call = tuple[str, str, dict[str, Any]]  # method, path, operation


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """OpenAPI 3.1, for programs."""
    return _prerendered(request.app)[0].reply(request)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The calls, their refusals and the entities."""
    return _prerendered(request.app)[1].reply(request)


def _prerendered(app: FastAPI) -> tuple[Prerendered, Prerendered]:
    """The document and the page, made when one of them is asked for first."""
    if not hasattr(app.state, "docs"):
        schema = app.openapi()
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        policy = {"Content-Security-Policy": policy_of(inline("docs.js"))}
        app.state.docs = (
            Prerendered.of(text.encode(), "application/json"),
            Prerendered.of(render(schema).encode(), "text/html", policy),
        )
    prerendered: tuple[Prerendered, Prerendered] = app.state.docs
    return prerendered


def render(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI 3.1 document."""
    schemas = document["components"]["schemas"]
    calls = sorted(operations(document), key=lambda call: _turn(document, call))
    groups = [(tag, list(some)) for tag, some in groupby(calls, key=_tag)]
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    entities = sorted(name for name in schemas if not schemas[name].get("enum"))
    values = sorted(name for name in schemas if schemas[name].get("enum"))
    return template("docs.html").substitute(
        docs_css=inline("docs.css"),
        script=inline("docs.js"),
        title=escape(document["info"]["title"]),
        description=paragraphs(document["info"]["description"]),
        contents="".join(_contents(tag, some) for tag, some in groups),
        entity_links="".join(f'<li><a href="#{each}">{each}</a></li>' for each in entities),
        shared=_shared(calls),
        sections="".join(_section(tag, about[tag], some, schemas) for tag, some in groups),
        entities="".join(render_entity(name, schemas[name]) for name in entities + values),
    )


def _tag(call: Call) -> str:
    tag: str = call[2]["tags"][0]
    return tag


def _turn(document: Mapping[str, Any], call: Call) -> int:
    return [tag["name"] for tag in document["tags"]].index(_tag(call))


def _anchor(tag: str) -> str:
    return "calls-" + tag.replace(" ", "-")


def _contents(tag: str, calls: list[Call]) -> str:
    links = "".join(
        f'<li data-of="{each["operationId"]}"><a href="#{each["operationId"]}">'
        f"{escape(each['summary'])}</a></li>"
        for _, _, each in calls
    )
    head = f'<a class="tag" href="#{_anchor(tag)}">{escape(tag.capitalize())}</a>'
    return f"<section>{head}<ul>{links}</ul></section>"


def _section(tag: str, about: str, calls: list[Call], schemas: Mapping[str, Any]) -> str:
    articles = "".join(render_call(*call, schemas) for call in calls)
    return (
        f'<section class="calls"><h2 id="{_anchor(tag)}">{escape(tag.capitalize())}</h2>'
        f"{paragraphs(about)}{articles}</section>"
    )


def _shared(calls: list[Call]) -> str:
    """What is the same for every call on an account, told once."""
    example = next(operation for _, path, operation in calls if path.startswith(PREFIX))
    parameters = "".join(
        row(each["name"], prose(each["description"]))
        for each in example["parameters"]
        if f"{{{each['name']}}}" in PREFIX
    )
    refusals = "".join(
        row(status, escape(answer["description"]))
        for status, answer in example["responses"].items()
        if status in COMMON
    )
    return f"<table><tbody>{parameters}{refusals}</tbody></table>"
