"""The broker without any protocol, on a clock that the tests turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.amqp.node import AmqpError
from emulator.servicebus.broker import Broker, QueueExistsError
from emulator.servicebus.entity import Entity
from emulator.servicebus.queue import NewMessage
from emulator.servicebus.settings import QueueSettings
from emulator.store import Store
from tests.emulator_servicebus.world import LOCK, START, World, amend


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "azure.db")
    yield world
    world.broker.close()
    world.store.close()


def bodies(entity: Entity) -> list[str]:
    """Everything that is available, taken."""
    return [delivery.message.payload.decode() for delivery in entity.take(1000)]


async def test_nothing_is_delivered_before_it_is_durable(world: World) -> None:
    queue = world.create()
    queue.send([NewMessage(b"a")])
    assert queue.active.receive(9) == []
    assert queue.active.log.peek(0, 9, 1000) == []
    world.store.commit()
    assert len(queue.active.receive(9)) == 1


async def test_a_lock_expires_in_order_and_counts(world: World) -> None:
    queue = world.create()
    world.send(queue, "a", "b", "c")
    first, second = queue.active.receive(2)
    world.wait(LOCK - 1)
    assert [d.message.sequence for d in queue.active.receive(9)] == [3]
    world.wait(1)
    again = queue.active.receive(9)
    assert [d.message.payload for d in again] == [b"a", b"b"]
    assert [d.message.delivery_count for d in again] == [1, 1]
    for lost in (first, second):
        with pytest.raises(AmqpError, match="message-lock-lost"):
            queue.active.complete(lost.token)


async def test_a_renewed_lock_holds(world: World) -> None:
    queue = world.create()
    world.send(queue, "a")
    (delivery,) = queue.active.receive(1)
    world.wait(LOCK - 1)
    assert queue.active.renew([delivery.token]) == [world.clock.now + LOCK]
    world.wait(LOCK - 1)
    queue.active.complete(delivery.token)
    with pytest.raises(AmqpError, match="message-lock-lost"):
        queue.active.renew([delivery.token])


async def test_a_lock_token_settles_once(world: World) -> None:
    queue = world.create()
    world.send(queue, "a")
    (delivery,) = queue.active.receive(1)
    queue.active.abandon(delivery.token)
    with pytest.raises(AmqpError, match="message-lock-lost"):
        queue.active.complete(delivery.token)


async def test_settling_may_change_properties(world: World) -> None:
    queue = world.create()
    world.send(queue, "a", "b", "c")
    one, two, three = queue.active.receive(3)
    queue.active.abandon(one.token, {"k": 1})
    queue.active.defer(two.token, {"k": 2})
    queue.active.reject(three.token, {"DeadLetterReason": "r"})
    world.store.commit()
    assert bodies(queue.active) == ["a|k=1"]
    (deferred,) = queue.active.receive_deferred([2], delete=False)
    assert deferred.message.payload == b"b|k=2"
    assert bodies(queue.dead_letter) == ["c|DeadLetterReason=r"]


async def test_dead_letters_stay_where_they_are(world: World) -> None:
    queue = world.create(max_delivery_count=1)
    world.send(queue, "a")
    (delivery,) = queue.active.receive(1)
    queue.active.abandon(delivery.token)
    world.store.commit()
    for count in range(1, 5):
        (dead,) = queue.dead_letter.receive(1)
        assert dead.message.delivery_count == count
        queue.dead_letter.reject(dead.token, {})
        world.store.commit()
    assert queue.dead_letter.log.totals[0] == 1


@pytest.mark.parametrize("dead_letters", [False, True])
async def test_expired_messages_go(world: World, dead_letters: bool) -> None:
    queue = world.create(default_ttl=10_000, dead_letter_expired=dead_letters)
    world.send(queue, "short", ttl=2_000)
    world.send(queue, "default")
    world.send(queue, "capped", ttl=99_000)
    assert [row.ttl for row in queue.active.log.peek(0, 9, 1000)] == [2_000, 10_000, 10_000]
    world.wait(2_000)
    assert queue.active.log.totals[0] == 2
    world.wait(8_000)
    assert queue.active.log.totals == (0, 0, 0, 0)
    expired = [body.partition("|")[0] for body in bodies(queue.dead_letter)]
    assert expired == (["short", "default", "capped"] if dead_letters else [])


async def test_a_locked_message_does_not_expire(world: World) -> None:
    queue = world.create(default_ttl=10_000, dead_letter_expired=True)
    world.send(queue, "settled", "given back")
    first, second = queue.active.receive(2)
    world.wait(20_000)
    queue.active.complete(first.token)
    queue.active.abandon(second.token)
    world.store.commit()
    assert bodies(queue.active) == []
    assert "TTLExpiredException" in bodies(queue.dead_letter)[0]


async def test_an_expired_message_is_not_delivered_even_if_the_sweep_is_late(world: World) -> None:
    queue = world.create(default_ttl=10_000)
    world.send(queue, "a")
    world.clock.now += 10_000
    assert queue.active.receive(1) == []


async def test_a_deferred_message_expires_when_it_is_asked_for(world: World) -> None:
    queue = world.create(default_ttl=10_000, dead_letter_expired=True)
    world.send(queue, "a")
    (delivery,) = queue.active.receive(1)
    queue.active.defer(delivery.token)
    world.wait(50_000)
    assert queue.active.log.totals[1] == 1
    with pytest.raises(AmqpError, match="message-not-found"):
        queue.active.receive_deferred([1], delete=False)
    world.store.commit()
    assert queue.dead_letter.log.totals[0] == 1


async def test_scheduled_messages_are_appended_when_due(world: World) -> None:
    queue = world.create(default_ttl=10_000)
    world.send(queue, "later", scheduled_at=START + 5_000)
    world.send(queue, "now")
    assert queue.active.log.totals[:3] == (1, 0, 1)
    world.wait(5_000)
    deliveries = queue.active.receive(9)
    assert [d.message.payload for d in deliveries] == [b"now", b"later"]
    assert [d.message.sequence for d in deliveries] == [2, 3]
    assert deliveries[1].message.enqueued_sequence == 1
    assert deliveries[1].message.expires_at == START + 15_000


async def test_many_due_messages_are_swept_in_turns(world: World) -> None:
    queue = world.create()
    world.send(queue, *(str(n) for n in range(500)), scheduled_at=START + 1_000)
    world.wait(1_000)
    assert 0 < queue.active.log.totals[0] < 500
    for _ in range(10):
        world.wait(0)
    assert bodies(queue.active) == [str(n) for n in range(500)]


async def test_duplicates_are_forgotten_after_the_window(world: World) -> None:
    queue = world.create(requires_duplicate_detection=True, duplicate_window=60_000)
    world.send(queue, "a", message_id="1")
    world.send(queue, "a2", message_id="1")
    world.send(queue, "none")
    world.send(queue, "none")
    (delivery,) = queue.active.receive(1)
    queue.active.complete(delivery.token)
    world.wait(59_999)
    world.send(queue, "a3", message_id="1")
    assert bodies(queue.active) == ["none", "none"]
    world.wait(1)
    world.send(queue, "a4", message_id="1")
    assert bodies(queue.active) == ["a4"]
    world.wait(200_000)
    (left,) = world.store.read("SELECT COUNT(*) FROM sb_history").fetchone()
    assert left == 0


async def test_the_window_can_be_changed(world: World) -> None:
    queue = world.create(requires_duplicate_detection=True, duplicate_window=60_000)
    world.send(queue, "a", message_id="1")
    settings = QueueSettings(requires_duplicate_detection=True, duplicate_window=120_000)
    world.broker.update(queue, settings, ())
    world.wait(100_000)
    world.send(queue, "a again", message_id="1")
    assert bodies(queue.active) == ["a"]


async def test_history_survives_a_kill(world: World) -> None:
    queue = world.create(requires_duplicate_detection=True)
    world.send(queue, "a", message_id="1")
    world.kill()
    queue = world.broker.queue("q")
    world.send(queue, "again", message_id="1")
    assert bodies(queue.active) == ["a"]


async def test_a_full_queue_takes_nothing_of_a_batch(world: World) -> None:
    queue = world.create()
    queue.settings = QueueSettings(max_size_mb=1)
    world.send(queue, *["x" * 200_000] * 6)  # the batch that reaches the limit is taken
    size = queue.size
    with pytest.raises(AmqpError, match="resource-limit-exceeded"):
        world.send(queue, "y", "y")
    assert queue.size == size
    delivery, *others = queue.active.receive(6)
    queue.active.reject(delivery.token, {})
    with pytest.raises(AmqpError, match="resource-limit-exceeded"):
        world.send(queue, "y")  # dead letters count, too
    queue.active.complete(others[0].token)
    world.send(queue, "y")  # there is room again


async def test_a_megabyte_can_be_as_few_bytes_as_a_test_wants(tmp_path: Path) -> None:
    store = Store(tmp_path / "azure.db")
    broker = Broker(store, amend, megabyte=1)
    queue = broker.create("q", QueueSettings(max_size_mb=1024), ())
    queue.send([NewMessage(b"x" * 1024)])
    with pytest.raises(AmqpError, match="Max entity size in bytes: 1024"):
        queue.send([NewMessage(b"y")])
    store.commit()
    assert len(queue.active.take(1)) == 1
    queue.send([NewMessage(b"y")])
    broker.close()
    store.close()


async def test_locks_lost_by_a_kill_count_as_deliveries(world: World) -> None:
    queue = world.create(max_delivery_count=2)
    world.send(queue, "a", "b", "c")
    done, _ = queue.active.receive(2)
    queue.active.complete(done.token)
    world.store.commit()
    world.kill()
    queue = world.broker.queue("q")
    deliveries = queue.active.receive(9)
    seen = [(d.message.payload, d.message.delivery_count) for d in deliveries]
    assert seen == [(b"b", 1), (b"c", 0)]
    world.store.commit()
    world.kill()
    queue = world.broker.queue("q")
    assert bodies(queue.active) == ["c"]
    assert bodies(queue.dead_letter)[0].startswith("b|DeadLetterReason=MaxDeliveryCountExceeded")


async def test_sequence_numbers_are_never_used_again(world: World) -> None:
    queue = world.create()
    assert world.send(queue, "a", "b") == [1, 2]
    bodies(queue.active)
    world.store.commit()
    world.kill()
    queue = world.broker.queue("q")
    assert world.send(queue, "c") == [3]


async def test_schedules_and_expiry_survive_a_kill(world: World) -> None:
    queue = world.create(default_ttl=10_000)
    world.send(queue, "expires")
    world.send(queue, "later", scheduled_at=START + 20_000)
    world.kill()
    world.wait(10_000)
    queue = world.broker.queue("q")
    assert queue.active.log.totals[:3] == (0, 0, 1)
    world.wait(10_000)
    assert bodies(queue.active) == ["later"]


async def test_cancelling_is_all_or_nothing(world: World) -> None:
    queue = world.create()
    numbers = world.send(queue, "a", "b", scheduled_at=START + 1_000)
    with pytest.raises(AmqpError, match="message-not-found"):
        queue.cancel_scheduled([*numbers, 99])
    assert queue.active.log.totals[2] == 2
    queue.cancel_scheduled(numbers)
    world.wait(1_000)
    assert queue.active.log.totals == (0, 0, 0, 0)


async def test_a_deleted_queue_leaves_nothing(world: World) -> None:
    queue = world.create(requires_duplicate_detection=True)
    world.send(queue, "a", "b", message_id="1")
    (delivery,) = queue.active.receive(1)
    world.broker.delete(queue)
    with pytest.raises(AmqpError, match="not-found"):
        world.send(queue, "c")
    with pytest.raises(AmqpError, match="message-lock-lost"):
        queue.active.complete(delivery.token)
    world.wait(LOCK)
    for table in ("sb_queue", "sb_entity", "sb_message", "sb_lock", "sb_history"):
        assert world.store.read(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    again = world.create()
    world.send(again, "d")
    assert bodies(again.active) == ["d"]


async def test_names_are_not_case_sensitive(world: World) -> None:
    queue = world.create()
    assert world.broker.queue("Q") is queue
    with pytest.raises(QueueExistsError):
        world.broker.create("Q", QueueSettings(), ())
    world.kill()
    assert world.broker.queue("Q").name == "q"


async def test_queues_do_not_mix(world: World) -> None:
    queues = [world.broker.create(f"q{n}", QueueSettings(), ()) for n in range(50)]
    for queue in queues:
        world.send(queue, queue.name)
    for queue in queues:
        assert bodies(queue.active) == [queue.name]
        assert bodies(queue.dead_letter) == []


async def test_peek_is_bounded_by_bytes(world: World) -> None:
    queue = world.create()
    world.send(queue, *["x" * 1000] * 9)
    assert len(queue.active.log.peek(0, 9, 5000)) == 4
    assert len(queue.active.log.peek(0, 9, 1)) == 1
