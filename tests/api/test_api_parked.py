"""What is parked: looked at, ordered to be redelivered, discarded. Ingest does not run here."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from services.api.logic import pairing, parked
from services.api.logic.ids import new_user_id
from services.api.resources import Resources
from services.api.store.parked import Filter
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.documents import ParkedMessage, Position
from stack.local import LocalStack
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.api.operators_tool import run
from tests.api.parking import NOON, Parking


@pytest.fixture
def parking(resources: Resources) -> Parking:
    return Parking(resources)


@pytest.fixture
def user_id() -> str:
    """An account of this test alone."""
    return new_user_id()


async def test_pages_follow_the_sequence_number_and_miss_nothing(
    parking: Parking, user_id: str
) -> None:
    await asyncio.gather(
        *(parking.put(user_id, n % 20, stream=f"hub/{n // 20}") for n in range(60))
    )
    await parking.put(user_id, 5, "malformed", device_id=f"X400_{'b' * 40}")
    await parking.put(new_user_id())
    seen: list[ParkedMessage] = []
    after = ""
    while True:
        page = await parked.page(parking.stores, Filter(user_id), 7, after)
        assert len(page.messages) <= 7
        seen += page.messages
        if not (after := page.next):
            break
    numbers = [message.sequence_number for message in seen]
    assert numbers == sorted(numbers)
    assert len({message.id for message in seen}) == len(seen) == 61
    for wanted in (
        Filter(user_id, reasons=("malformed",)),
        Filter(user_id, device_id=f"X400_{'b' * 40}"),
    ):
        found = await parked.page(parking.stores, wanted, 100)
        assert [message.sequence_number for message in found.messages] == [5]
        assert await parked.count(parking.stores, wanted) == 1
    for wrong in ("x", "bm9uc2Vuc2U=", "é"):
        with pytest.raises(InvalidRequest, match="page"):
            await parked.page(parking.stores, Filter(user_id), 5, wrong)


async def test_a_pages_cost_does_not_grow_with_what_is_parked(
    parking: Parking, resources: Resources, user_id: str
) -> None:
    """Request units of one page of 5, of 20 and of 200 parked messages."""
    costs = []
    for first, last in ((0, 20), (20, 200)):
        await asyncio.gather(*(parking.put(user_id, n) for n in range(first, last)))
        await parked.page(parking.stores, Filter(user_id), 5)
        headers = resources.parked.container.client_connection.last_response_headers
        costs.append(float(headers["x-ms-request-charge"]))
    assert costs[1] < 2 * costs[0]


async def test_an_order_is_the_whole_message_and_is_given_once(
    parking: Parking, user_id: str
) -> None:
    message = await parking.put(user_id, 7)
    outcomes = await asyncio.gather(
        *(parked.redeliver(parking.stores, user_id, message.id) for _ in range(4)),
        return_exceptions=True,
    )
    (ordered,) = [one for one in outcomes if isinstance(one, ParkedMessage)]
    assert all(isinstance(one, Conflict) for one in outcomes if one is not ordered)
    order = await parking.order(message)
    assert order is not None
    assert order.partition == message.stream
    assert order.message == ordered == message.model_copy(update={"ordered_at": order.ordered_at})
    assert (await parked.one(parking.stores, user_id, message.id)) == ordered
    with pytest.raises(Conflict, match="ordered already"):
        await parked.discard(parking.stores, user_id, message.id)
    await parking.carry_out(message)
    with pytest.raises(NotFound):
        await parked.redeliver(parking.stores, user_id, message.id)
    assert await parking.order(message) is None


async def test_an_order_that_was_interrupted_can_be_given_again(
    parking: Parking, user_id: str
) -> None:
    """Killed after the message was marked: a minute later nobody is still about to order it."""
    now = datetime.now(UTC)
    fresh = await parking.put(user_id, ordered_at=now)
    for act in (parked.redeliver, parked.discard):
        with pytest.raises(Conflict, match="ordered already"):
            await act(parking.stores, user_id, fresh.id)
    old = await parking.put(user_id, ordered_at=now - timedelta(minutes=2))
    await parked.redeliver(parking.stores, user_id, old.id)
    assert await parking.order(old) is not None
    old = await parking.put(user_id, ordered_at=now - timedelta(minutes=2))
    await parked.discard(parking.stores, user_id, old.id)


async def test_what_needs_no_order_is_told_what_to_do(
    parking: Parking, stores: pairing.Stores, alice: Customer, user_id: str
) -> None:
    refused = await parking.put(user_id, reason="refused")
    with pytest.raises(Conflict, match="when the queue takes again"):
        await parked.redeliver(parking.stores, user_id, refused.id)
    made = await new_gateway(stores)
    waiting = await parking.put(made.device_id, reason="no_owner", device_id=made.device_id)
    garbage = await parking.put(made.device_id, reason="malformed", device_id=made.device_id)
    for message in (waiting, garbage):
        with pytest.raises(Conflict, match="paired"):
            await parked.redeliver(parking.stores, made.device_id, message.id)
    await pairing.pair(stores, pairing_request(alice, made))
    await parked.redeliver(parking.stores, made.device_id, garbage.id)
    assert await parking.order(garbage) is not None
    with pytest.raises(InvalidRequest, match="paired"):
        parked.to_redeliver(Filter(made.device_id, reasons=("no_owner",)))
    for wrong in ("", "a/b", "x" * 300):
        with pytest.raises(InvalidRequest):
            await parked.one(parking.stores, user_id, wrong)
    with pytest.raises(NotFound):
        await parked.one(parking.stores, new_user_id(), refused.id)


async def test_all_means_what_can_be_ordered_and_tells_how_far_it_is(
    parking: Parking, user_id: str
) -> None:
    messages = await asyncio.gather(*(parking.put(user_id, n) for n in range(130)))
    refused = await parking.put(user_id, reason="refused")
    wanted = parked.to_redeliver(Filter(user_id))
    assert await parked.count(parking.stores, wanted) == 130
    steps = [step async for step in parked.redeliver_all(parking.stores, wanted, 130)]
    assert steps[0] == parked.Progress(100)
    assert steps[-1] == parked.Progress(130)
    for message in messages:
        assert await parking.order(message) is not None
    assert await parking.order(refused) is None
    assert await parked.count(parking.stores, wanted) == 0
    steps = [step async for step in parked.discard_all(parking.stores, Filter(user_id), 131)]
    assert (steps[-1].done, steps[-1].left) == (1, 130)  # what is ordered is ingest's by now
    assert "ordered already" in steps[-1].why
    assert await parked.count(parking.stores, Filter(user_id)) == 130


async def test_all_completes_orders_that_were_interrupted(parking: Parking, user_id: str) -> None:
    now = datetime.now(UTC)
    old = await parking.put(user_id, 1, ordered_at=now - timedelta(minutes=2))
    recent = await parking.put(user_id, 2, ordered_at=now)
    wanted = parked.to_redeliver(Filter(user_id))
    total = await parked.count(parking.stores, wanted)
    steps = [step async for step in parked.redeliver_all(parking.stores, wanted, total)]
    assert steps == [parked.Progress(1)]
    assert await parking.order(old) is not None
    assert await parking.order(recent) is None


async def test_no_more_is_discarded_than_was_counted(parking: Parking, user_id: str) -> None:
    """Ingest parks more of a full queue's messages while the operator is asked."""
    for n in range(3):
        await parking.put(user_id, n, "refused")
    total = await parked.count(parking.stores, Filter(user_id))
    later = await parking.put(user_id, 3, "refused")
    steps = [step async for step in parked.discard_all(parking.stores, Filter(user_id), total)]
    assert steps[-1] == parked.Progress(3)
    assert (await parked.page(parking.stores, Filter(user_id), 9)).messages == [later]


async def test_nothing_is_parked_for_what_does_not_exist(
    parking: Parking, stores: pairing.Stores, alice: Customer, user_id: str
) -> None:
    made = await new_gateway(stores)
    for holder in (alice.user_id, made.device_id):
        assert (await parked.page(parking.stores, Filter(holder), 5)).messages == []
        assert await parked.count(parking.stores, Filter(holder)) == 0
    for holder, what in ((user_id, "account"), (f"X400_{'e' * 40}", "gateway")):
        with pytest.raises(NotFound, match=what):
            await parked.page(parking.stores, Filter(holder), 5)
        with pytest.raises(NotFound, match=what):
            await parked.count(parking.stores, Filter(holder))
    await parking.put(user_id, reason="refused")  # its account's record is missing
    assert await parked.count(parking.stores, Filter(user_id)) == 1
    assert await parked.count(parking.stores, Filter(user_id, reasons=("malformed",))) == 0


async def test_whose_queues_refuse(parking: Parking, resources: Resources, user_id: str) -> None:
    assert await parked.held(parking.stores) == []
    first = await parking.put(user_id, 3, "refused")
    await parking.put(user_id, 4, "refused")
    for number in (2, 1):
        position = Position(
            partition=f"held/{number}",
            sequence_number=9,
            offset="9",
            enqueued_at=NOON,
            held={user_id: 3},
        )
        await resources.redeliveries.container.upsert_item(position.model_dump(mode="json"))
    assert await parked.held(parking.stores) == [
        parked.Held(user_id, ["held/1", "held/2"], 2, first)
    ]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"t": 21.5}\n', ('{"t": 21.5}\n', "text")),
        ("21 °C".encode(), ("21 °C", "text")),
        (b"", ("", "text")),
        (b"\xff\x00", ("ff00", "hex")),
        (b"\x1b[2J", ("1b5b324a", "hex")),
    ],
)
def test_a_body_is_text_where_it_is_printable_utf8(body: bytes, shown: tuple[str, str]) -> None:
    assert parked.body_of(body) == shown


async def test_the_operators_tool(stack: LocalStack, parking: Parking, user_id: str) -> None:
    device_id = f"X400_{'c' * 40}"
    of_account = ("--user-id", user_id)
    first = await parking.put(user_id, 1, device_id=device_id)
    second, third = [await parking.put(user_id, n, "malformed", mid="\x1b[2J") for n in (2, 3)]
    body = b"\x1b[31mred"
    unowned = await parking.put(device_id, 9, "no_owner", device_id=device_id, body=body)

    listed, shown, wrong, unasked = await asyncio.gather(
        run(stack, "parked", "list", *of_account, "--limit", "2"),
        run(stack, "parked", "show", "--device-id", device_id, "--id", unowned.id, "--json"),
        run(stack, "parked", "redeliver", *of_account),
        run(stack, "parked", "discard", *of_account, "--all", "--json"),
    )
    assert listed.output.index(first.id) < listed.output.index(second.id)
    assert third.id not in listed.output
    assert "--after " in listed.output
    assert "\x1b" not in listed.output
    assert (shown.value["body"], shown.value["body_encoding"]) == (body.hex(), "hex")
    assert shown.value["properties"] == {"type": "data"}
    assert wrong.status == 1
    assert "--all" in wrong.errors
    assert "--yes" in json.loads(unasked.errors)["error"]
    assert "Traceback" not in wrong.errors

    discard = ("parked", "discard", *of_account, "--all", "--reason", "malformed")
    ordered, asked, held = await asyncio.gather(
        run(stack, "parked", "redeliver", *of_account, "--id", first.id, "--json"),
        run(stack, *discard),
        run(stack, "parked", "held", "--json"),
    )
    assert ordered.value == {"ordered": 1, "left": 0}
    assert await parking.order(first) is not None
    assert asked.status == 1  # nobody answered
    assert "Discard 2 messages for ever?" in asked.errors
    assert "--yes" in asked.errors
    assert isinstance(json.loads(held.output), list)
    assert await parked.count(parking.stores, Filter(user_id)) == 3
    discarded = await run(stack, *discard, "--yes")
    assert discarded.status == 0
    assert "2 of 2 discarded" in discarded.errors
    assert await parked.count(parking.stores, Filter(user_id)) == 1
