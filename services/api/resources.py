"""What the api opens when it starts and closes when it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.api.logic.accounts import AccountStores
from services.api.logic.passwords import Passwords, new_passwords
from services.api.logic.rate_limit import RateLimits, new_rate_limits
from services.api.logic.sender import Sender
from services.api.logic.signing_in import Stores as SigningInStores
from services.api.logic.uploading import Uploading
from services.api.logic.usage import UsageLog
from services.api.settings import ApiSettings
from services.api.store.accounts import Accounts
from services.api.store.apps import Apps
from services.api.store.attempts import Attempts
from services.api.store.audit import Audit
from services.api.store.devices import Devices
from services.api.store.firmware import FirmwareVersions
from services.api.store.gateways import Gateways
from services.api.store.group_members import GroupMembers
from services.api.store.groups import Groups
from services.api.store.idempotency import Idempotency
from services.api.store.jobs import Jobs
from services.api.store.ledgers import Ledgers
from services.api.store.namespaces import Namespaces
from services.api.store.notifications import Notifications
from services.api.store.ota import Ota, open_ota
from services.api.store.parked import Parked
from services.api.store.people import People
from services.api.store.queues import Queues
from services.api.store.redeliveries import Redeliveries
from services.api.store.sessions import Sessions
from services.api.store.timeline import Timeline
from services.api.store.usage import Usage
from services.api.store.user_messages import UserMessages
from shared.clients import AzureClients, open_azure
from shared.database import (
    ACCOUNTS,
    APPS,
    ATTEMPTS,
    AUDIT,
    DEVICES,
    FIRMWARE,
    GATEWAYS,
    GROUPS,
    IDEMPOTENCY,
    JOBS,
    NAMESPACES,
    NOTIFICATIONS,
    PARKED,
    PEOPLE,
    SESSIONS,
    STREAM,
    TIMELINE,
    USAGE,
    USER_MESSAGES,
)
from shared.iothub import IotHub, open_iot_hub


@dataclass(frozen=True)
class Resources:
    """Stores and the hub, each safe for use by many requests at once."""

    settings: ApiSettings
    limits: RateLimits
    azure: AzureClients
    accounts: Accounts
    groups: Groups
    group_members: GroupMembers
    gateways: Gateways
    devices: Devices
    ledgers: Ledgers
    parked: Parked
    redeliveries: Redeliveries
    hub: IotHub
    queues: Queues
    people: People
    sessions: Sessions
    attempts: Attempts
    usage: Usage
    audit: Audit
    idempotency: Idempotency
    user_messages: UserMessages
    sender: Sender
    notifications: Notifications
    timeline: Timeline
    apps: Apps
    firmware: FirmwareVersions
    jobs: Jobs
    ota: Ota
    uploading: Uploading
    namespaces: Namespaces
    key_uses: UsageLog
    passwords: Passwords

    @property
    def making_accounts(self) -> AccountStores:
        """What making an account needs."""
        return AccountStores(
            accounts=self.accounts,
            queues=self.queues,
            namespaces=self.namespaces,
            duplicate_window=self.settings.queue_duplicate_window,
            accounts_per_namespace=self.settings.accounts_per_namespace,
        )

    @property
    def signing_in(self) -> SigningInStores:
        """What signing in needs."""
        return SigningInStores(
            accounts=self.accounts,
            people=self.people,
            sessions=self.sessions,
            attempts=self.attempts,
            audit=self.audit,
            timeline=self.timeline,
            passwords=self.passwords,
        )


@asynccontextmanager
async def open_resources(settings: ApiSettings) -> AsyncIterator[Resources]:
    """Nothing is connected yet: each client connects at its first use."""
    async with (
        open_azure(settings) as azure,
        open_iot_hub(azure) as hub,
        open_ota(settings.ota_url, settings.ota_key, settings.ca_file) as ota,
    ):
        database = azure.database
        usage = Usage(database.get_container_client(USAGE.name))
        gateways = Gateways(database.get_container_client(GATEWAYS.name))
        user_messages = UserMessages(database.get_container_client(USER_MESSAGES.name))
        yield Resources(
            settings=settings,
            limits=new_rate_limits(
                settings.calls_per_minute,
                settings.writes_per_minute,
                settings.strangers_per_minute,
                settings.wrong_keys_per_minute,
            ),
            azure=azure,
            accounts=Accounts(database.get_container_client(ACCOUNTS.name)),
            groups=Groups(database.get_container_client(GROUPS.name)),
            group_members=GroupMembers(database.get_container_client(DEVICES.name)),
            gateways=gateways,
            devices=Devices(database.get_container_client(DEVICES.name)),
            ledgers=Ledgers(database.get_container_client(STREAM.name)),
            parked=Parked(database.get_container_client(PARKED.name)),
            redeliveries=Redeliveries(database.get_container_client(STREAM.name)),
            hub=hub,
            queues=Queues(azure),
            people=People(database.get_container_client(PEOPLE.name)),
            sessions=Sessions(database.get_container_client(SESSIONS.name)),
            attempts=Attempts(database.get_container_client(ATTEMPTS.name)),
            usage=usage,
            audit=Audit(database.get_container_client(AUDIT.name)),
            idempotency=Idempotency(database.get_container_client(IDEMPOTENCY.name)),
            user_messages=user_messages,
            sender=Sender(user_messages, gateways, hub),
            notifications=Notifications(database.get_container_client(NOTIFICATIONS.name)),
            timeline=Timeline(database.get_container_client(TIMELINE.name)),
            apps=Apps(database.get_container_client(APPS.name)),
            firmware=FirmwareVersions(database.get_container_client(FIRMWARE.name)),
            jobs=Jobs(database.get_container_client(JOBS.name)),
            ota=ota,
            uploading=Uploading(),
            namespaces=Namespaces(database.get_container_client(NAMESPACES.name)),
            key_uses=UsageLog(usage),
            passwords=new_passwords(settings.password_memory_kib),
        )
