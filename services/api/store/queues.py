"""The accounts' queues: making them, and what opens them."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.servicebus.aio.management import ServiceBusAdministrationClient
from azure.servicebus.management import AccessRights, AuthorizationRule, QueueProperties

from shared.clients import AzureClients
from shared.errors import Conflict, Unavailable

LISTEN_RULE = "listen"
KEY_BYTES = 32
DEVELOPMENT = "UseDevelopmentEmulator"


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

    def _connection_string(self, namespace: str, queue: str, rule: AuthorizationRule) -> str:
        value = self.azure.settings.servicebus_namespaces[namespace].get_secret_value()
        parts = dict(part.partition("=")[::2] for part in value.split(";") if "=" in part)
        development = f"{DEVELOPMENT}={parts[DEVELOPMENT]};" if DEVELOPMENT in parts else ""
        return (
            f"Endpoint={parts.get('Endpoint', f'sb://{value}/')};"
            f"SharedAccessKeyName={rule.key_name};SharedAccessKey={rule.primary_key};"
            f"{development}EntityPath={queue}"
        )


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
