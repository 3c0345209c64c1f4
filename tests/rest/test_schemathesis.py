"""Schemathesis asks what the OpenAPI document allows, and what it forbids: nothing ends as a 5xx
or in an answer that the document does not have.

A longer run, with a seed of its own:

    SCHEMATHESIS="--max-examples 200 --seed 7" make test ARGS=tests/rest/test_schemathesis.py
"""

import asyncio
import os
import secrets
import shlex
import sys
from pathlib import Path

import pytest

from services.api.logic import pairing
from services.api.resources import Resources
from shared.schemas.documents import GroupDocument
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.test_api_unavailable import api_with
from tests.known_secrets import keep
from tests.rest.records import put_notifications
from tests.running_stack import UNLIMITED

SHORT = "--max-examples 2 --seed 1"
LIMIT_SECONDS = 900
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "allow_header_conformance",
)
# 501 is what an installation without the OTA service answers. The device and its group stay, so
# that calls on them have something to show.
CONFIG = """
workers = 2
warnings = false
headers = {{ X-API-Key = "${{API_KEY}}", X-Operator-Key = "${{OPERATOR_KEY}}" }}

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]

[parameters]
"path.userid" = "{user_id}"
"path.webapi_key" = "-"
"path.deviceid" = "{device_id}"
"path.groupid" = "{group_id}"
"path.notificationid" = "{notification_id}"

[[operations]]
include-operation-id = "deleteDevice"
parameters = {{ "path.deviceid" = "X400_{nothing}" }}
"""


@pytest.mark.timeout(LIMIT_SECONDS)
async def test_nothing_but_what_is_documented(
    stack: LocalStack, resources: Resources, stores: pairing.Stores, tmp_path: Path
) -> None:
    customer = await new_customer(resources)
    operator_key = secrets.token_hex(16)
    keep(operator_key)
    (tmp_path / "schemathesis.toml").write_text(await _config(resources, stores, customer))
    extra = {**UNLIMITED, "MYMOTE_OPERATOR_KEY": operator_key}
    async with api_with(stack, tmp_path / "api.log", extra) as (client, _):
        paths = (await client.get("/openapi.json")).json()["paths"]
        child = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{client.base_url}/openapi.json",
            "--phases=examples,fuzzing",
            f"--checks={','.join(CHECKS)}",
            "--continue-on-failure",
            "--request-timeout=60",
            *shlex.split(os.environ.get("SCHEMATHESIS", SHORT)),
            cwd=tmp_path,
            env={**os.environ, "API_KEY": customer.api_key, "OPERATOR_KEY": operator_key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await child.communicate())[0].decode()
    assert child.returncode == 0, output
    operations = sum(len(methods) for methods in paths.values())
    assert f"Tested: {operations}" in output, output


async def _config(resources: Resources, stores: pairing.Stores, customer: Customer) -> str:
    group = GroupDocument(id="boilers", user_id=customer.user_id, name="Boilers")
    await stores.groups.create(group)
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(customer, gateway, "Pump", "1,2", group.id))
    (notification, *_) = await put_notifications(resources, customer.user_id, 3)
    return CONFIG.format(
        user_id=customer.user_id,
        device_id=gateway.device_id,
        group_id=group.id,
        notification_id=notification.id,
        nothing="0" * 40,
    )
