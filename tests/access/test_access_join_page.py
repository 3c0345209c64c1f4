"""The page that an invitation's link opens."""

import asyncio
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from tests.access.persons import invite, login, new_password, new_username
from tests.api.customers import Customer

ROOT = Path(__file__).parents[2]
NODE = ROOT / "node_modules/.bin/node"
PAGE = Path(__file__).with_name("join_page.mjs")


async def fill_in(link: str, username: str, password: str) -> Any:
    child = await asyncio.create_subprocess_exec(
        NODE, PAGE, link, username, password, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0
    return json.loads(output)


async def test_somebody_joins_with_the_page(client: httpx.AsyncClient, alice: Customer) -> None:
    link = (await invite(client, alice, "viewer"))["link"]
    username, password = new_username(), new_password()
    refused = await fill_in(link, username, "too short")
    assert "10 characters" in refused["said"]
    assert not refused["hidden"]
    assert refused["address"] == "/join", "the token leaves the address bar"
    joined = await fill_in(link, username, password)
    assert alice.user_id in joined["said"]
    assert joined["hidden"]
    assert (await login(client, username, password)).status_code == 200


async def test_the_page_runs_its_own_script_and_no_other(client: httpx.AsyncClient) -> None:
    reply = await client.get("/join")
    found = re.search("<script>(.*)</script>", reply.text, re.DOTALL)
    assert found
    digest = b64encode(sha256(found.group(1).encode()).digest()).decode()
    policy = reply.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]
