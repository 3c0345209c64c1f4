"""Queue administration, with the official client over TLS."""

import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.servicebus.aio._base_handler_async import ServiceBusSharedKeyCredential
from azure.servicebus.management import AuthorizationRule, EntityStatus

from emulator.servicebus.queue import NewMessage
from emulator.servicebus.settings import QueueSettings
from tests.emulator_servicebus.namespace import ROOT_KEY, Namespace

BODY = b"\x00\x53\x75\xa0\x05hello"


async def put(namespace: Namespace, body: str, *, authorized: bool = True) -> httpx.Response:
    return await call(namespace, "PUT", "/q", body.encode(), authorized=authorized)


async def call(
    namespace: Namespace,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    authorized: bool = True,
    content_type: str = "application/atom+xml",
) -> httpx.Response:
    headers = {"Content-Type": content_type}
    if authorized:
        credential = ServiceBusSharedKeyCredential("RootManageSharedAccessKey", ROOT_KEY)
        token = await credential.get_token(f"https://localhost:{namespace.https_port}")
        headers["Authorization"] = str(token.token)
    context = ssl.create_default_context(cafile=str(namespace.ca_file))
    async with httpx.AsyncClient(verify=context) as client:
        url = f"https://localhost:{namespace.https_port}{path}?api-version=2021-05"
        return await client.request(method, url, content=body, headers=headers)


def listen_rule(name: str = "listen") -> AuthorizationRule:
    return AuthorizationRule(key_name=name, rights=["Listen"], claim_type="SharedAccessKey")


async def test_a_queue_is_created_read_and_deleted(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        created = await client.create_queue(
            "user-1",
            lock_duration=timedelta(seconds=45),
            default_message_time_to_live="P14D",
            max_delivery_count=7,
            requires_duplicate_detection=True,
            duplicate_detection_history_time_window=timedelta(days=1),
            dead_lettering_on_message_expiration=True,
            max_size_in_megabytes=2048,
            user_metadata="owner <1> & co",
        )
        read = await client.get_queue("USER-1")
        for properties in (created, read):
            assert properties.lock_duration == timedelta(seconds=45)
            assert properties.default_message_time_to_live == timedelta(days=14)
            assert properties.max_delivery_count == 7
            assert properties.requires_duplicate_detection is True
            assert properties.duplicate_detection_history_time_window == timedelta(days=1)
            assert properties.dead_lettering_on_message_expiration is True
            assert properties.max_size_in_megabytes == 2048
            assert properties.user_metadata == "owner <1> & co"
            assert properties.status == EntityStatus.ACTIVE
            assert properties.requires_session is False
        await client.delete_queue("user-1")
        with pytest.raises(ResourceNotFoundError):
            await client.get_queue("user-1")
        with pytest.raises(ResourceNotFoundError):
            await client.delete_queue("user-1")


async def test_defaults_are_azures(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        await client.create_queue("plain")
        queue = await client.get_queue("plain")
        assert queue.lock_duration == timedelta(minutes=1)
        assert queue.max_delivery_count == 10
        assert queue.max_size_in_megabytes == 1024
        forever = queue.default_message_time_to_live
        assert isinstance(forever, timedelta)
        assert forever > timedelta(days=10_000_000)
        assert queue.requires_duplicate_detection is False


async def test_a_taken_name_is_a_conflict(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        await client.create_queue("taken")
        with pytest.raises(ResourceExistsError):
            await client.create_queue("Taken")


async def test_an_update_keeps_what_it_does_not_change(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        queue = await client.create_queue("q", authorization_rules=[listen_rule()])
        keys = namespace.service.broker.queue("q").rules
        queue.max_delivery_count = 3
        queue.status = EntityStatus.SEND_DISABLED
        await client.update_queue(queue)
        read = await client.get_queue("q")
        assert (read.max_delivery_count, read.status) == (3, EntityStatus.SEND_DISABLED)
        assert namespace.service.broker.queue("q").rules == keys
        await client.update_queue(read)  # the description as it is read is taken back


async def test_updating_a_missing_queue_is_not_found(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        queue = await client.create_queue("gone")
        await client.delete_queue("gone")
        with pytest.raises(ResourceNotFoundError):
            await client.update_queue(queue)


async def test_access_rules_get_keys_and_new_ones_on_renewal(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        queue = await client.create_queue("q", authorization_rules=[listen_rule()])
        assert queue.authorization_rules is not None
        (rule,) = queue.authorization_rules
        assert (rule.key_name, rule.rights) == ("listen", ["Listen"])
        assert rule.primary_key
        assert rule.secondary_key != rule.primary_key
        old = rule.primary_key
        rule.primary_key = "a-new-key"
        await client.update_queue(queue)
        read = await client.get_queue("q")
        assert read.authorization_rules is not None
        assert read.authorization_rules[0].primary_key == "a-new-key"
        assert old not in str(read.authorization_rules[0].__dict__)
        read.authorization_rules = []
        await client.update_queue(read)
        assert not (await client.get_queue("q")).authorization_rules


async def test_a_listen_key_administers_nothing(namespace: Namespace) -> None:
    async with namespace.administration() as root:
        queue = await root.create_queue("q", authorization_rules=[listen_rule()])
    assert queue.authorization_rules is not None
    key = queue.authorization_rules[0].primary_key
    assert key is not None
    async with namespace.administration(key, "listen") as client:
        with pytest.raises(ClientAuthenticationError):
            await client.get_queue("q")
        with pytest.raises(ClientAuthenticationError):
            await client.create_queue("other")
        with pytest.raises(ClientAuthenticationError):
            await client.list_queues().by_page().__anext__()
    async with namespace.administration("d3Jvbmc=") as client:
        with pytest.raises(ClientAuthenticationError):
            await client.get_queue("q")


async def test_lists_are_paged(namespace: Namespace) -> None:
    names = [f"user-{n:03}" for n in range(205)]
    async with namespace.administration() as client:
        for name in names:
            namespace.service.broker.create(name, QueueSettings(), ())
        assert [queue.name async for queue in client.list_queues()] == names
        part = [queue.name async for queue in client.list_queues(start_index=3, max_page_size=50)]
        assert part == names[3:]
        runtime = [queue async for queue in client.list_queues_runtime_properties()]
        assert len(runtime) == 205


async def test_runtime_properties_count_messages(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        before = datetime.now(UTC) - timedelta(seconds=1)
        await client.create_queue("q")
        queue = namespace.service.broker.queue("q")
        later = namespace.service.broker.scheduler.clock() + 60_000
        queue.send([NewMessage(BODY), NewMessage(BODY), NewMessage(BODY, scheduled_at=later)])
        await namespace.service.store.durable()
        (delivery,) = queue.active.receive(1)
        queue.active.reject(delivery.token, {"DeadLetterReason": "bad"})
        counts = await client.get_queue_runtime_properties("q")
        assert counts.active_message_count == 1
        assert counts.dead_letter_message_count == 1
        assert counts.scheduled_message_count == 1
        assert counts.total_message_count == 3
        assert counts.size_in_bytes is not None
        assert counts.size_in_bytes > 3 * len(BODY)
        assert counts.created_at_utc is not None
        assert counts.accessed_at_utc is not None
        assert before < counts.created_at_utc <= counts.accessed_at_utc


@pytest.mark.parametrize(
    "wrong",
    [
        {"lock_duration": "PT6M"},
        {"lock_duration": "P1M"},
        {"max_size_in_megabytes": 7},
        {"max_delivery_count": 0},
        {"duplicate_detection_history_time_window": "P8D"},
        {"authorization_rules": [AuthorizationRule(key_name="m", rights=["Manage"])]},
        {"authorization_rules": [listen_rule("twice"), listen_rule("Twice")]},
        {"user_metadata": "x" * 1025},
    ],
)
async def test_what_azure_refuses_is_refused(
    namespace: Namespace, wrong: dict[str, object]
) -> None:
    async with namespace.administration() as client:
        with pytest.raises(HttpResponseError) as refused:
            await client.create_queue("q", **wrong)  # type: ignore[arg-type]  # any one of them
        assert refused.value.status_code == 400
        with pytest.raises(ResourceNotFoundError):
            await client.get_queue("q")


@pytest.mark.parametrize("name", ["-a", "a-", "a b", "a" * 261, "ä", "a?b"])
async def test_a_bad_name_is_refused(namespace: Namespace, name: str) -> None:
    async with namespace.administration() as client:
        with pytest.raises(HttpResponseError) as refused:
            await client.create_queue(name)
        assert refused.value.status_code == 400


async def test_a_name_may_have_slashes(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        await client.create_queue("fleet/user-1")
        assert (await client.get_queue("fleet/user-1")).name == "fleet/user-1"


async def test_duplicate_detection_cannot_be_changed(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        queue = await client.create_queue("q")
        queue.requires_duplicate_detection = True
        with pytest.raises(HttpResponseError) as refused:
            await client.update_queue(queue)
        assert refused.value.status_code == 400


async def test_what_is_not_emulated_says_so(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        calls = [
            client.create_queue("q", requires_session=True),
            client.create_queue("q", forward_to="other"),
            client.create_queue("q", auto_delete_on_idle=timedelta(minutes=5)),
            client.create_topic("t"),
            client.get_subscription("t", "s"),
        ]
        for call in calls:
            with pytest.raises(HttpResponseError) as refused:
                await call
            assert refused.value.status_code == 501


async def test_the_namespace_describes_itself(namespace: Namespace) -> None:
    async with namespace.administration() as client:
        properties = await client.get_namespace_properties()
        assert properties.messaging_sku == "Standard"


@pytest.mark.parametrize("body", ["", "<entry", "<entry/>", "\x00", "<a>" * 500])
async def test_a_body_that_is_no_entry_is_refused(namespace: Namespace, body: str) -> None:
    assert (await put(namespace, body)).status_code == 400


@pytest.mark.parametrize("body", [b"\xff\xfe<", b"<entry/>"])
async def test_an_encoding_that_nobody_knows_is_refused(namespace: Namespace, body: bytes) -> None:
    answer = await call(namespace, "PUT", "/q", body, content_type="text/xml; charset=none")
    assert answer.status_code == 400


async def test_entities_in_xml_are_refused(namespace: Namespace) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><entry>&c;</entry>'
    assert (await put(namespace, bomb)).status_code == 400


async def test_no_token_is_unauthorized(namespace: Namespace) -> None:
    answer = await put(namespace, "<entry/>", authorized=False)
    assert answer.status_code == 401
    assert "SharedAccessSignature" in answer.text


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/q/messages"), ("PATCH", "/q"), ("GET", "/"), ("HEAD", "/q")]
)
async def test_what_is_no_administration_is_not_emulated(
    namespace: Namespace, method: str, path: str
) -> None:
    assert (await call(namespace, method, path, authorized=False)).status_code == 401
    assert (await call(namespace, method, path)).status_code == 501
