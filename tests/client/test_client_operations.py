"""The client's table of calls against the api's own description of itself."""

import ast
from pathlib import Path

import httpx
import pytest

import mymote
from mymote.failures import USAGE, Failure
from mymote.operations import OPERATIONS, Operation

PREFIX = "/api/user/{userid}/{webapi_key}"
METHODS = {"get", "post", "put", "patch", "delete"}


async def test_every_call_of_the_api_is_in_the_table_and_no_other(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    described = {
        call["operationId"]: Operation(
            method.upper(),
            path.removeprefix(PREFIX),
            once=any(each["name"] == "Idempotency-Key" for each in call.get("parameters", ())),
        )
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        if method in METHODS
    }
    assert len(described) > 70
    assert dict(OPERATIONS) == described


@pytest.mark.parametrize("given", ["", ".", ".."])
def test_an_id_is_no_way_to_another_call(given: str) -> None:
    values = {"deviceid": f"X400_{'a' * 40}", "appid": given, "appversionid": "reboot"}
    with pytest.raises(Failure) as refused:
        OPERATIONS["sendNewApp"].filled(values)
    assert refused.value.status == USAGE


def test_every_call_of_the_table_is_made_by_a_command() -> None:
    texts = {
        node.value
        for file in Path(mymote.__file__).parent.rglob("*.py")
        if file.name != "operations.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
    }
    # `notification ack` and `clear` put their calls' names together.
    texts |= {
        f"{verb}Notification{many}" for verb in ("acknowledge", "clear") for many in ("", "s")
    }
    assert OPERATIONS.keys() - texts == set()
