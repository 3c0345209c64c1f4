"""The OpenAPI document and the page made of it are whole, and say what is true."""

import ast
import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from services.api.logic.access import NEEDED

# Clients are made from these: a line here changes only when a call is added.
OPERATIONS = Path(__file__).with_name("operations.txt")
ROOT = Path(__file__).parents[2]
SENTENCE = 20  # characters that are no value; fewer would stand for anything
CUSTOMER = "/api/user/{userid}/{webapi_key}"


@pytest.fixture(scope="module")
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


@pytest.fixture(scope="module")
async def page(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/docs")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_operation_ids_and_paths_are_stable(document: dict[str, Any]) -> None:
    served = sorted(
        f"{operation['operationId']} {method} {path.replace(CUSTOMER, '')}"
        for method, path, operation in operations(document)
    )
    assert served == OPERATIONS.read_text().splitlines()


def test_every_decision_has_its_call(document: dict[str, Any]) -> None:
    served = {
        operation["operationId"]
        for _, path, operation in operations(document)
        if path.startswith(CUSTOMER)
    }
    assert served == NEEDED.keys()


def test_every_call_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        name = operation["operationId"]
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        assert set(operation["tags"]) <= tags, name
        assert len(operation["tags"]) == 1, name
        assert operation["security"] or path.startswith("/api/"), name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter["name"])
            assert parameter["schema"] != {}, (name, parameter["name"])
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items():
            assert "schema" in content, (name, media_type)


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        name, answers = operation["operationId"], operation["responses"]
        assert [status for status in answers if status < "300"], name
        assert "422" not in answers, name
        assert {"400", "429", "503"} <= answers.keys(), name
        if path.startswith(CUSTOMER):
            assert {"401", "403"} <= answers.keys(), name
        for status, answer in answers.items():
            content = answer["content"]["application/json"]
            assert answer["description"], (name, status)
            if status >= "400":
                assert content["schema"]["$ref"].endswith("/Error"), (name, status)
                assert content["example"]["error"].endswith((".", "?")), (name, status)


def test_a_refusals_example_is_what_the_code_says(document: dict[str, Any]) -> None:
    said = re.compile("|".join(sorted(_sentences())))
    unsaid = []
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            example = answer["content"]["application/json"].get("example")
            if status >= "400" and not said.fullmatch(example["error"]):
                unsaid.append((operation["operationId"], status, example["error"]))
    assert unsaid == []


def test_each_call_refuses_in_its_own_words(document: dict[str, Any]) -> None:
    words = {
        (operation["operationId"], status): answer["content"]["application/json"]["example"]
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if status >= "400"
    }
    assert "API key" in words["renewKey", "404"]["error"]
    assert "renewed already" in words["renewKey", "409"]["error"]
    assert "device key" in words["pairDevice", "404"]["error"]
    assert "text/csv" in words["pairDevices", "415"]["error"]
    assert "operator's key" in words["operatorListAccounts", "401"]["error"]


def test_a_results_example_is_what_the_route_answers(document: dict[str, Any]) -> None:
    shown = {
        operation["operationId"]: operation["responses"]["200"]["content"]["application/json"]
        for _, _, operation in operations(document)
        if "200" in operation["responses"]
    }
    answered = dict(_results())
    assert len(answered) > 10
    assert {name: shown[name]["example"]["result"] for name in answered} == answered


def _results() -> Iterator[tuple[str, str]]:
    """Operation id and what the route's RESULT says, of routes that always say the same."""
    for path in (ROOT / "services/api/routes").glob("*.py"):
        text = path.read_text()
        for route in re.split(r"\n@router", text)[1:]:
            name = re.search(r'operation_id="(\w+)"', route)
            result = re.search(r'Result\(result="([^"]+)"\)', route)
            if name and result:
                yield name[1], result[1]


def _sentences() -> set[str]:
    """Every text in the services' source, as a pattern: anything may stand for a value."""
    found = set()
    for folder in ("services/api", "services/ota", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name not in ("refusal_examples.py", "errors.py"):
                found |= _texts(ast.parse(path.read_text()))
    return found


def _texts(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [each.value if isinstance(each, ast.Constant) else None for each in parts]
        if sum(len(text) for text in texts if isinstance(text, str)) >= SENTENCE:
            found.add("".join(re.escape(t) if isinstance(t, str) else ".+" for t in texts))
    return found


def test_every_entity_is_described(document: dict[str, Any]) -> None:
    missing = []
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            missing.append(name)
        missing += [
            f"{name}.{field}"
            for field, about in schema.get("properties", {}).items()
            if not about.get("description")
        ]
        if "properties" in schema and not schema.get("examples"):
            missing.append(f"{name}: an example")
    assert missing == []


def test_examples_are_what_the_schemas_allow(document: dict[str, Any]) -> None:
    wrong = []
    components = {"components": document["components"]}
    for name, schema in document["components"]["schemas"].items():
        if _allows(schema | components, *schema.get("examples", [])):
            continue
        wrong.append(name)
    for _, _, operation in operations(document):
        body = operation.get("requestBody", {"content": {}})
        for answer in (*operation["responses"].values(), body):
            content = answer["content"].get("application/json", {})
            if "example" in content and not _allows(
                content["schema"] | components, content["example"]
            ):
                wrong.append(operation["operationId"])
    assert wrong == []


def _allows(schema: dict[str, Any], *values: Any) -> bool:
    # The root is the schema itself, so that "#/components" is found in it.
    validator = jsonschema_rs.Draft202012Validator(schema)
    return all(validator.is_valid(value) for value in values)


def test_the_page_shows_all_of_it(document: dict[str, Any], page: httpx.Response) -> None:
    assert page.status_code == 200
    anchors = re.findall(r'id="([^"]+)"', page.text)
    assert len(anchors) == len(set(anchors))
    assert {operation["operationId"] for _, _, operation in operations(document)} <= set(anchors)
    assert document["components"]["schemas"].keys() <= set(anchors)
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(anchors)


def test_the_page_runs_its_own_script_and_no_other(page: httpx.Response) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
