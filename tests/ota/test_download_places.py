"""Downloads at once: no account takes all of them, and no job outlives itself in one."""

import asyncio
import hashlib
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.logic import job_rules as rules
from services.ota.logic import proof
from services.ota.logic.downloads import TicketCall
from services.ota.logic.places import Places
from services.ota.logic.ranges import Part
from services.ota.logic.together import Together
from services.ota.resources import Resources
from services.ota.store.downloads import Item, Key
from shared.errors import Forbidden, TooMany, Unavailable
from shared.schemas.jobs import JobState
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.ingest.local_platform import eventually
from tests.load.process import sockets
from tests.ota.served_files import Ordered, order, serve_firmware

# More than a system takes of a connection whose other end reads nothing: Linux, up to 4 MiB.
CONTENT = hashlib.shake_256(b"places").digest(8 * 1024 * 1024)


def test_an_account_gets_its_share_and_leaves_the_rest_to_others() -> None:
    places = Places(at_once=5, of_account=3, of_job=2)
    ended: list[str] = []
    with ExitStack() as taken:

        def take(account: str, job_id: str = "") -> None:
            taken.enter_context(places.taken(account, job_id, lambda: ended.append(job_id)))

        for number in range(3):
            take("alice", f"job {number}")
        with pytest.raises(TooMany, match="share") as refused:
            take("alice")
        assert refused.value.retry_after
        take("bob")
        take("carol")
        with pytest.raises(Unavailable):
            take("bob")
    assert ended == []
    with places.taken("alice", "", lambda: None):  # all of them are free again
        pass


def test_a_job_loses_its_oldest_download_to_its_newest() -> None:
    places = Places(at_once=3, of_account=3, of_job=2)
    ended: list[str] = []
    with ExitStack() as taken:
        for name, job_id in [("a", "1"), ("b", "1"), ("key", ""), ("c", "1"), ("d", "1")]:
            taken.enter_context(places.taken("alice", job_id, partial(ended.append, name)))
        assert ended == ["a", "b"]


async def test_a_gateway_that_comes_back_takes_the_place_of_its_dead_link(
    stack: LocalStack, resources: ApiResources, ota: Resources, alice: Customer, pump: Manufactured
) -> None:
    ordered = await order(
        resources, ota, await serve_firmware(ota, CONTENT), alice, pump, JobState.DOWNLOADING
    )
    dead, slow, back = [await _begun(stack, ordered) for _ in range(3)]
    assert len(await _rest(dead)) < len(CONTENT)
    for reader in (slow, back):
        assert (await _rest(reader)).endswith(CONTENT[-1000:])


async def test_dead_links_do_not_pile_up(
    stack: LocalStack, resources: ApiResources, ota: Resources, alice: Customer, pump: Manufactured
) -> None:
    ordered = await order(
        resources, ota, await serve_firmware(ota, CONTENT), alice, pump, JobState.DOWNLOADING
    )
    pid = stack.processes["ota"].pid
    before = sockets(pid)
    readers = [await _begun(stack, ordered) for _ in range(40)]

    async def closed() -> bool:
        return sockets(pid) < before + 20  # some are the service's own

    await eventually(closed)
    for reader in readers:
        reader.close()


async def test_a_download_ends_with_its_job_and_with_nothing_else(
    resources: ApiResources, ota: Resources, alice: Customer, pump: Manufactured
) -> None:
    served = await serve_firmware(ota, CONTENT)
    ordered = await order(resources, ota, served, alice, pump)
    away = False

    async def read(keys: Sequence[Key]) -> dict[Key, Item]:
        if away:
            raise Unavailable("The database does not answer.")
        return dict(await ota.downloads.documents.jobs.read(keys))

    documents = replace(ota.downloads.documents, jobs=Together(read))
    downloads = replace(ota.downloads, documents=documents, look_seconds=0)
    made = proof.make(
        ordered.device_key,
        method="GET",
        path=ordered.path,
        ticket=ordered.ticket,
        now=(now := datetime.now(UTC)),
    )
    file = await downloads.by_ticket(
        TicketCall("GET", pump.device_id, ordered.job.id, ordered.ticket, made, now)
    )
    pieces = downloads.content(file, Part(0, len(CONTENT)))
    await anext(pieces)
    away = True
    await anext(pieces)
    away = False
    await anext(pieces)
    jobs = ota.worker.stores.jobs
    held = await jobs.get(alice.user_id, ordered.job.id)
    assert held is not None
    await jobs.replace(held, rules.ended(held.job, JobState.CANCELLED, "Cancelled.", now))
    with pytest.raises(Forbidden, match="ended"):
        await anext(pieces)


async def _begun(stack: LocalStack, ordered: Ordered) -> socket.socket:
    """A gateway that has the head of the reply, and takes no more for now."""
    loop = asyncio.get_running_loop()
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    await loop.sock_connect(reader, (stack.settings.bind, stack.settings.ota_port))
    headers = "".join(f"{name}: {value}\r\n" for name, value in ordered.headers().items())
    target = f"{ordered.path}?ticket={ordered.ticket}"
    await loop.sock_sendall(reader, f"GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    assert (await loop.sock_recv(reader, 12)) == b"HTTP/1.1 200"
    return reader


async def _rest(reader: socket.socket) -> bytes:
    """All that comes until the reply's end or the connection's."""
    loop, received = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(60):
        while not received.endswith(CONTENT[-1000:]):
            some = await loop.sock_recv(reader, 65536)
            if not some:
                break
            received += some
    reader.close()
    return bytes(received)
