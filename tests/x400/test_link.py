"""One connection to the hub, from its opening to its end."""

import asyncio
import time

import pytest

from tests.x400.local_hub import Hub
from x400.link import Address, Link, LinkError
from x400.settings import GatewaySettings


async def test_a_link_that_is_cut_while_it_connects_is_a_lost_one(
    hub: Hub, settings: GatewaySettings
) -> None:
    credentials = settings.credentials()
    link = Link(credentials.device_id, lambda _link, _message: None)
    address = Address("127.0.0.1", hub.port, None, 60, 5)
    token = credentials.sas_token(int(time.time()) + 60)
    opening = asyncio.create_task(link.open(address, credentials.username, token))
    await asyncio.sleep(0)
    # A thread connects, and this one must not hear of it yet: so it waits without its loop.
    deadline = time.monotonic() + 10
    while link._client.socket() is None and time.monotonic() < deadline:
        time.sleep(0.001)  # noqa: ASYNC251
    time.sleep(0.05)  # noqa: ASYNC251
    link.abort("the network is unplugged")
    with pytest.raises(LinkError, match="unplugged"):
        await opening
