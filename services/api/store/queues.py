"""The accounts' queues: making them, and what opens them."""

import asyncio
import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus.aio.management import ServiceBusAdministrationClient
from azure.servicebus.management import AccessRights, AuthorizationRule, QueueProperties

from shared.clients import AzureClients
from shared.errors import Conflict, Unavailable

LISTEN_RULE = "listen"
KEY_BYTES = 32
DEVELOPMENT = "UseDevelopmentEmulator"
CALL_SECONDS = 10.0


@dataclass(frozen=True)
class QueueState:
    """What Service Bus tells of a queue."""

    connection_string: str  # "" where somebody deleted the listen-only rule
    active_messages: int
    dead_letters: int
    size_bytes: int
    max_megabytes: int
    status: str


@dataclass(frozen=True)
class Queues:
    """Queues in the namespaces of the settings."""

    azure: AzureClients

    @property
    def namespaces(self) -> list[str]:
        """The names that the settings know."""
        return list(self.azure.settings.servicebus_namespaces)

    async def ensure(self, namespace: str, queue: str, duplicate_window: timedelta) -> str:
        """Make queue and listen-only rule where they are missing.

        Returns the connection string that opens the queue for listening, and nothing else.
        Raises Unavailable where Service Bus does not answer, and Conflict for a namespace that
        the settings no longer name.
        """
        if namespace not in self.namespaces:
            raise Conflict(
                f"The settings do not name Service Bus namespace {namespace!r}; "
                "add it to MYMOTE_SERVICEBUS_NAMESPACES."
            )
        admin = self.azure.service_bus_administration(namespace)
        try:
            properties = await _create(admin, queue, duplicate_window)
            rule = _listen_rule(properties)
            if rule is None:
                rule = _new_rule()
                properties.authorization_rules = [*(properties.authorization_rules or []), rule]
                await admin.update_queue(properties)
        except AzureError as error:
            raise Unavailable(
                f"Service Bus namespace {namespace!r} does not take the queue: "
                f"{type(error).__name__}. Try again; what was made stays."
            ) from error
        return self._connection_string(namespace, queue, rule)

    async def state(self, namespace: str, queue: str) -> QueueState | None:
        """None where the queue is missing. Raises Unavailable."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                admin = self._administration(namespace)
                properties, runtime = await asyncio.gather(
                    admin.get_queue(queue), admin.get_queue_runtime_properties(queue)
                )
        except ResourceNotFoundError:
            return None
        except (AzureError, TimeoutError) as error:
            raise _no_answer() from error
        rule = _listen_rule(properties)
        return QueueState(
            connection_string=self._connection_string(namespace, queue, rule) if rule else "",
            active_messages=runtime.active_message_count or 0,
            dead_letters=runtime.dead_letter_message_count or 0,
            size_bytes=runtime.size_in_bytes or 0,
            max_megabytes=properties.max_size_in_megabytes or 0,
            status=str(getattr(properties.status, "value", properties.status) or ""),
        )

    async def renew(self, namespace: str, queue: str, *, end_previous: bool) -> str | None:
        """A new connection string; the previous one stays valid until the next, unless ended.

        Not for two at once on one queue: Service Bus knows no condition for an update. None where
        the queue is missing. Raises Unavailable: which key is valid then is for `state` to tell.
        """
        try:
            async with asyncio.timeout(CALL_SECONDS):
                admin = self._administration(namespace)
                properties = await admin.get_queue(queue)
                rule, previous = _new_rule(), _listen_rule(properties)
                if previous and not end_previous:
                    rule.secondary_key = previous.primary_key
                others = [
                    each
                    for each in properties.authorization_rules or []
                    if each.key_name != LISTEN_RULE
                ]
                properties.authorization_rules = [*others, rule]
                await admin.update_queue(properties)
        except ResourceNotFoundError:
            return None
        except (AzureError, TimeoutError) as error:
            raise _no_answer() from error
        return self._connection_string(namespace, queue, rule)

    def _administration(self, namespace: str) -> ServiceBusAdministrationClient:
        if namespace not in self.namespaces:
            raise _no_answer()  # the operator's mistake, and for the operator to repair
        return self.azure.service_bus_administration(namespace)

    def _connection_string(self, namespace: str, queue: str, rule: AuthorizationRule) -> str:
        value = self.azure.settings.servicebus_namespaces[namespace].get_secret_value()
        parts = dict(part.partition("=")[::2] for part in value.split(";") if "=" in part)
        development = f"{DEVELOPMENT}={parts[DEVELOPMENT]};" if DEVELOPMENT in parts else ""
        return (
            f"Endpoint={parts.get('Endpoint', f'sb://{value}/')};"
            f"SharedAccessKeyName={rule.key_name};SharedAccessKey={rule.primary_key};"
            f"{development}EntityPath={queue}"
        )


def _no_answer() -> Unavailable:
    return Unavailable("Service Bus does not answer; try again in a few seconds.")


async def _create(
    admin: ServiceBusAdministrationClient, queue: str, duplicate_window: timedelta
) -> QueueProperties:
    try:
        return await admin.create_queue(
            queue,
            authorization_rules=[_new_rule()],
            requires_duplicate_detection=True,
            duplicate_detection_history_time_window=duplicate_window,
        )
    except ResourceExistsError:
        return await admin.get_queue(queue)


def _listen_rule(properties: QueueProperties) -> AuthorizationRule | None:
    for rule in properties.authorization_rules or []:
        if rule.key_name == LISTEN_RULE:
            return rule
    return None


def _new_rule() -> AuthorizationRule:
    now = datetime.now(UTC)
    return AuthorizationRule(
        type="SharedAccessAuthorizationRule",
        claim_type="SharedAccessKey",
        claim_value="None",
        rights=[AccessRights.LISTEN],
        key_name=LISTEN_RULE,
        primary_key=b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        secondary_key=b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        created_at_utc=now,
        modified_at_utc=now,
    )
