"""What a gateway rejects, what a server refuses, and whose signatures are believed."""

import json
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer, published
from tests.x400.updates import APP, desire, ends, reported
from x400.gateway import Gateway
from x400.settings import GatewaySettings


@pytest.mark.parametrize(
    ("statuses", "state", "said"),
    [
        ([403], "failed", "refused: the server answered 403: Not now."),
        ([503, 429, 500], "succeeded", ""),
        ([500] * 3, "failed", "download_failed: the server answered 500; 3 tries in a row"),
    ],
)
async def test_what_the_server_refuses(
    hub: Hub,
    server: OtaServer,
    settings: GatewaySettings,
    statuses: list[int],
    state: str,
    said: str,
) -> None:
    server.trouble.statuses = list(statuses)
    tries = 3 if state == "failed" else 4
    async with running(Gateway(settings.model_copy(update={"ota_tries": tries}))):
        desire(hub, server.order("j1", APP))
        assert said in await ends(hub, "j1", state)
    assert len(server.served) == len(statuses) + (state == "succeeded")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": len(APP) - 1}, "size_mismatch: 200001 bytes are there, not 200000"),
        ({"size": len(APP) + 1}, "size_mismatch: 200001 bytes are there, not 200002"),
        ({"md5": "A" * 22 + "=="}, "md5_mismatch: "),
        ({"sha256": "0" * 64}, "sha256_mismatch: "),
    ],
)
async def test_what_is_not_what_was_ordered_is_not_installed(
    hub: Hub, server: OtaServer, updated: Gateway, changes: dict[str, Any], said: str
) -> None:
    desire(hub, server.order("j1", APP, **changes))
    assert said in await ends(hub, "j1", "failed")
    assert updated.core.app_name_and_version() == "first sketch 1.0.0"
    assert not list(updated.settings.state.glob("*.bin"))


async def test_nobody_answers(hub: Hub, server: OtaServer, settings: GatewaySettings) -> None:
    await server.close()
    async with running(Gateway(settings.model_copy(update={"ota_tries": 2}))):
        desire(hub, server.order("j1", APP))
        assert "download_failed: no connection to 127.0.0.1:" in await ends(hub, "j1", "failed")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 256 * 1024 + 1}, "too_large: 262145 bytes; the memory for the app holds 262144"),
        ({"url": "ftp://example.com/a?ticket=t"}, "bad_order: its url"),
        ({"url": "http://example.com/a"}, "bad_order: its url"),
        ({"url": "http://example.com:99999/a?ticket=t"}, "bad_order: its url"),
        ({"url": "http://xn--a/a?ticket=t"}, "bad_order: its url"),
        ({"url": "http://a..b/a?ticket=t"}, "bad_order: its url"),
        ({"version": "1.2"}, "bad_order: its version"),
        ({"version": "1.2.256"}, "bad_order: its version"),
        ({"version": "1.02.3"}, "bad_order: its version"),
        ({"name": "x" * 101}, "bad_order: its name"),
        ({"name": "two\nlines"}, "bad_order: its name"),
        ({"size": "12"}, "bad_order: its size"),
        ({"md5": "QUJD"}, "bad_order: its md5"),
        ({"sha256": "AB" * 32}, "bad_order: its sha256"),
        ({"signature": "?"}, "bad_order: its signature"),
        ({"signature": "A" * 86 + "=="}, "bad_signature: not made by a key"),
    ],
)
async def test_wrong_orders_are_rejected_before_a_byte_is_asked_for(
    hub: Hub, server: OtaServer, updated: Gateway, changes: dict[str, Any], said: str
) -> None:
    desire(hub, server.order("j1", APP) | changes)
    assert said in await ends(hub, "j1", "rejected")
    assert server.served == []
    version = hub.hub.twins.get(DEVICE_ID).reported.version
    updated.core.cloud.restart("to see that it is not told again")
    await updated.until_connected()
    assert hub.hub.twins.get(DEVICE_ID).reported.version == version


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device_key": SecretStr("")}, "no_device_key: "),
        ({"ota_public_keys": []}, "bad_signature: the gateway trusts no key yet"),
    ],
)
async def test_a_gateway_that_cannot_says_so(
    hub: Hub, server: OtaServer, settings: GatewaySettings, changes: dict[str, Any], said: str
) -> None:
    async with running(Gateway(settings.model_copy(update=changes))):
        desire(hub, server.order("j1", APP))
        assert said in await ends(hub, "j1", "rejected")
    assert server.served == []


async def test_an_order_without_a_job_is_nobodys(hub: Hub, updated: Gateway) -> None:
    for count, value in enumerate(("now", {"url": "http://x"}, [1], 7)):
        hub.desire(DEVICE_ID, {"ota_app": None})
        hub.desire(DEVICE_ID, {"ota_app": value, "settings": {"seen": count}})
        await until(partial(_has, updated, {"seen": count}))
    assert not reported(hub)


async def test_the_next_key_is_believed_where_a_trusted_one_signed_it(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    first, server.key, stranger = (
        server.key,
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
    )
    server.keys = [published(server.key, stranger), published(stranger), published(first)]
    desire(hub, server.order("j1", APP))
    assert "bad_signature" in await ends(hub, "j1", "rejected")
    assert server.served == []
    server.keys = [published(server.key, first), published(first)]
    desire(hub, server.order("j2", APP))
    await ends(hub, "j2", "succeeded")
    asked = server.key_requests
    await updated.kill()
    async with running(Gateway(settings)):  # what it learned it keeps
        desire(hub, server.order("j3", APP))
        await ends(hub, "j3", "succeeded")
    assert server.key_requests == asked


def _has(gateway: Gateway, settings: object) -> bool:
    return bool(json.loads(gateway.app.settingsRead()) == settings)
