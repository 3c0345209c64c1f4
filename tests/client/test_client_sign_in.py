"""Signing in and out: what is kept, what is asked, and how each way of not being signed in ends."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from stack.local import LocalStack
from tests.access.persons import invite, join, new_password, new_username
from tests.api.customers import Customer
from tests.client.command_line import CommandLine
from tests.free_ports import free_ports
from tests.known_secrets import keep


@pytest.fixture
def mymote(tmp_path: Path) -> CommandLine:
    """Of somebody who has never signed in."""
    return CommandLine(tmp_path)


def profiles(mymote: CommandLine) -> Path:
    return mymote.folder / "config" / "profiles.json"


async def test_a_key_is_checked_and_kept_for_its_owner_alone(
    mymote: CommandLine, stack: LocalStack, alice: Customer
) -> None:
    assert (await mymote("device", "list")).status == 2
    where = ("--url", stack.endpoints.api_url, "--user-id", alice.user_id, "--secret-stdin")
    wrong = await mymote("login", *where, stdin=f"{'0' * 64}\n")
    assert wrong.status == 3
    assert not profiles(mymote).exists()
    signed_in = await mymote("login", *where, stdin=f"{alice.api_key}\n")
    assert signed_in.status == 0, signed_in
    assert alice.api_key not in signed_in.output + signed_in.errors
    assert stat.S_IMODE(profiles(mymote).stat().st_mode) == 0o600
    assert stat.S_IMODE(profiles(mymote).parent.stat().st_mode) == 0o700
    assert (await mymote.well("whoami"))["user_id"] == alice.user_id
    assert (await mymote("logout")).status == 0
    assert alice.api_key not in profiles(mymote).read_text()
    assert (await mymote("whoami")).status == 2


async def test_a_person_signs_in_and_out_and_the_session_ends(
    mymote: CommandLine, stack: LocalStack, client: httpx.AsyncClient, alice: Customer
) -> None:
    somebody = await join(client, alice, "operator")
    where = ("--url", stack.endpoints.api_url, "--username", somebody.username, "--secret-stdin")
    assert (await mymote("login", *where, stdin=f"{somebody.password}\n")).status == 0
    me = await mymote.well("whoami")
    assert (me["name"], me["role"]) == (somebody.username, "operator")
    token = json.loads(profiles(mymote).read_text())["profiles"]["default"]["token"]
    keep(token)
    new = new_password()
    keep(new)
    changed = await mymote("password", "--stdin", stdin=f"{somebody.password}\n{new}\n")
    assert changed.status == 0, changed
    assert (await mymote("key", "list")).status == 3
    assert any(each["current"] for each in await mymote.well("session", "list"))
    assert (await mymote("logout")).status == 0
    headers = {"Authorization": f"Bearer {token}"}
    after = await client.get(f"/api/user/{alice.user_id}/-/me", headers=headers)
    assert after.status_code == 401


async def test_an_invited_person_joins_by_the_link(
    mymote: CommandLine, client: httpx.AsyncClient, alice: Customer
) -> None:
    link = (await invite(client, alice, "viewer"))["link"]
    username, password = new_username(), new_password()
    keep(password)
    arguments = ("join", link, "--username", username, "--password-stdin")
    joined = await mymote(*arguments, stdin=f"{password}\n")
    assert joined.status == 0, joined
    keep(json.loads(profiles(mymote).read_text())["profiles"]["default"]["token"])
    assert (await mymote.well("whoami"))["scopes"] == ["read"]
    assert (await mymote("join", "no link")).status == 2


async def test_the_demo_and_other_profiles(
    mymote: CommandLine, stack: LocalStack, alice: Customer, bob: Customer
) -> None:
    assert (await mymote("login", "--demo")).status == 2  # nothing runs in this folder
    made = {"api_url": stack.endpoints.api_url, "user_id": alice.user_id}
    made |= {"api_key": alice.api_key, "ca_file": stack.endpoints.ca_file}
    (mymote.folder / ".run").mkdir()
    (mymote.folder / ".run" / "demo.json").write_text(json.dumps(made))
    assert (await mymote("login", "--demo")).status == 0
    where = ("--url", stack.endpoints.api_url, "--user-id", bob.user_id, "--secret-stdin")
    other = await mymote("--profile", "other", "login", *where, stdin=bob.api_key)
    assert other.status == 0, other
    assert (await mymote.well("account", "show"))["user_id"] == bob.user_id
    of_demo = await mymote("--profile", "demo", "account", "show", "--json")
    assert of_demo.value["user_id"] == alice.user_id
    assert (await mymote("profile", "use", "demo")).status == 0
    listed = await mymote.well("profile", "list")
    assert [(each["name"], each["current"]) for each in listed] == [
        ("demo", True),
        ("other", False),
    ]
    assert bob.api_key not in json.dumps(listed)
    assert (await mymote("profile", "use", "none")).status == 2
    named = replace(mymote, environment={"MYMOTE_PROFILE": "other"})
    assert (await named.well("account", "show"))["user_id"] == bob.user_id


async def test_the_environment_counts_whole_or_not_at_all(
    mymote: CommandLine, stack: LocalStack, alice: Customer
) -> None:
    some = {"MYMOTE_URL": stack.endpoints.api_url, "MYMOTE_USER_ID": alice.user_id}
    refused = await replace(mymote, environment=some)("device", "list")
    assert refused.status == 2
    assert "MYMOTE_API_KEY is not set" in refused.errors


async def test_what_cannot_be_reached_or_read_says_so(
    mymote: CommandLine, stack: LocalStack, alice: Customer
) -> None:
    (port,) = free_ports(1)
    elsewhere = {"MYMOTE_USER_ID": alice.user_id, "MYMOTE_API_KEY": alice.api_key}
    away = replace(mymote, environment=elsewhere | {"MYMOTE_URL": f"http://127.0.0.1:{port}"})
    refused = await away("device", "list")
    assert (refused.status, refused.output) == (1, "")
    assert "cannot be reached" in refused.errors
    assert "Traceback" not in refused.errors
    # Something answers there, but it is not the api.
    cosmos = replace(mymote, environment=elsewhere | {"MYMOTE_URL": stack.endpoints.cosmos})
    odd = await cosmos("device", "list")
    assert odd.status != 0
    assert "Is the URL right?" in odd.errors
    # TLS of an authority that nobody knows, and of one that was named.
    secure = f"https://localhost:{stack.settings.https_port}"
    unknown = replace(mymote, environment=elsewhere | {"MYMOTE_URL": secure})
    assert "--ca-file" in (await unknown("device", "list")).errors
    known = replace(
        mymote, environment={**unknown.environment, "MYMOTE_CA_FILE": stack.endpoints.ca_file}
    )
    assert "Is the URL right?" in (await known("device", "list")).errors
    missing = replace(mymote, environment={**unknown.environment, "MYMOTE_CA_FILE": "/none"})
    assert (await missing("device", "list")).status == 2
    profiles(mymote).parent.mkdir()
    profiles(mymote).write_text("{")
    assert "mymote login" in (await mymote("device", "list")).errors
    assert (await mymote("login", "--url", "not a url", "--username", "x")).status == 2
    unasked = await mymote("login")
    assert unasked.status == 2
    assert "--url" in unasked.errors
