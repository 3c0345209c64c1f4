"""Two accounts that have one of everything, and what the database holds of each."""

import asyncio
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from services.api.logic import pairing
from services.api.resources import Resources
from shared.schemas.artifacts import AppDocument, AppVersionDocument
from shared.schemas.documents import GroupDocument
from shared.schemas.jobs import Job, JobKind
from tests.access.persons import join
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.parking import Parking
from tests.known_secrets import keep
from tests.rest.records import put_notifications

SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class Side:
    """An account. `ids` by the names of path parameters; `mark` is in all that it wrote."""

    customer: Customer
    mark: str
    device_key: str
    download_key: str
    ids: Mapping[str, str]

    @property
    def hidden(self) -> tuple[str, ...]:
        """What nobody else may ever be told."""
        return (self.mark, self.device_key, self.download_key, self.customer.api_key)


async def populated(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores
) -> Side:
    """A new account with a device, a group, an app and so on, each marked."""
    customer, mark, download_key = await new_customer(resources), *_secrets()
    gateway = await new_gateway(stores)
    group = GroupDocument(id=f"g{secrets.token_hex(8)}", user_id=customer.user_id, name=mark)
    await stores.groups.create(group)
    await pairing.pair(stores, pairing_request(customer, gateway, mark, "", group.id))
    (notification,) = await put_notifications(
        resources, customer.user_id, device_id=gateway.device_id, device_name=mark, text=mark
    )
    parked = await Parking(resources).put(
        customer.user_id, device_id=gateway.device_id, body=mark.encode()
    )
    app, version = await _app(resources, customer.user_id, mark, download_key)
    person = await join(client, customer, "viewer", username=f"{mark}@example.com")
    made = {
        "keyid": await _made(client, customer, "/account/keys", {"name": mark, "scopes": ["read"]}),
        "invitationid": await _made(
            client, customer, "/invitations", {"role": "viewer", "note": mark}
        ),
    }
    order = await client.post(
        f"{customer.base}/devices/{gateway.device_id}/sendjson", json={"text": mark}
    )
    ids = {
        **made,
        "deviceid": gateway.device_id,
        "groupid": group.id,
        "notificationid": notification.id,
        "parkedid": parked.id,
        "appid": app,
        "appversionid": version,
        "jobid": await _job(resources, customer.user_id, gateway.device_id, mark),
        "personid": person.person_id,
        "sessionid": person.session_id,
        "messageid": order.headers["Location"].rpartition("/")[2],
        "firmwareid": "no-such-firmware",
    }
    side = Side(customer, mark, gateway.device_key, download_key, ids)
    await _settled(client, side)
    return side


async def everything_of(resources: Resources, side: Side) -> str:
    """Each document of the account, to be compared."""
    user_id, device_id = side.customer.user_id, side.ids["deviceid"]
    places = [
        (resources.accounts.container, user_id),
        (resources.groups.container, user_id),
        (resources.devices.container, user_id),
        (resources.notifications.container, user_id),
        (resources.parked.container, user_id),
        (resources.apps.container, user_id),
        (resources.jobs.container, user_id),
        (resources.sessions.container, user_id),
        (resources.audit.container, user_id),
        (resources.idempotency.container, user_id),
        (resources.people.container, side.ids["personid"]),
        (resources.gateways.container, device_id),
        (resources.timeline.container, device_id),
        (resources.user_messages.container, device_id),
    ]
    found = await asyncio.gather(*(_documents(*place) for place in places))
    twin = await resources.hub.get_twin(device_id)
    return json.dumps([found, repr(twin)], indent=1, sort_keys=True)


async def _documents(container: Any, partition: str) -> list[dict[str, Any]]:
    items = container.query_items("SELECT * FROM c", partition_key=partition)
    # The api's own worker claims an outbox now and then.
    return [item async for item in items if item["id"] != "outbox"]


async def _made(
    client: httpx.AsyncClient, customer: Customer, path: str, body: dict[str, Any]
) -> str:
    reply = await client.post(f"{customer.base}{path}", json=body)
    assert reply.status_code == 201, reply.text
    return str(reply.headers["Location"]).rpartition("/")[2]


async def _app(resources: Resources, user_id: str, mark: str, key: str) -> tuple[str, str]:
    now = datetime.now(UTC)
    app = AppDocument(id=f"a{secrets.token_hex(8)}", user_id=user_id, name=mark, created_at=now)
    version = AppVersionDocument(
        id=f"v{secrets.token_hex(8)}",
        user_id=user_id,
        app_id=app.id,
        name=mark,
        version="1.0.0",
        created_at=now,
        filepath=mark,
        download_key=key,
        sig_md5="",
        sha256="",
        signature="",
        size=1,
    )
    for document in (app, version):
        await resources.apps.container.create_item(document.model_dump(mode="json"))
    return app.id, version.id


async def _job(resources: Resources, user_id: str, device_id: str, mark: str) -> str:
    now = datetime.now(UTC)
    job = Job(
        id=str(uuid.uuid4()),
        user_id=user_id,
        kind=JobKind.APP,
        device_id=device_id,
        paired_at=now,
        artifact_id=mark,
        name=mark,
        version="1.0.0",
        size=1,
        md5="",
        sha256="",
        filepath=mark,
        blob_etag="",
        ordered_by=mark,
        created_at=now,
        state_at=now,
    )
    await resources.jobs.container.create_item(job.model_dump(mode="json"))
    return job.id


async def _settled(client: httpx.AsyncClient, side: Side) -> None:
    """Until the user message is with the hub, where it stays: its device is offline."""
    url = f"{side.customer.base}/devices/{side.ids['deviceid']}/messages/{side.ids['messageid']}"
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            if (await client.get(url)).json()["state"] == "sent":
                return
            await asyncio.sleep(0.05)


def _secrets() -> tuple[str, str]:
    mark, download_key = f"mark-{secrets.token_hex(8)}", secrets.token_hex(16)
    keep(download_key)
    return mark, download_key
