"""A local stack for the tests of one folder, with the services that they need."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from shared.clients import open_azure
from shared.database import provision
from stack.local import NOTHING, LocalStack
from stack.settings import StackSettings
from tests.api.customers import settings_of
from tests.free_ports import free_ports

# A folder's tests all call from one address, and hash many passwords.
UNLIMITED = {
    **{
        f"MYMOTE_{name}_PER_MINUTE": "1000000"
        for name in ("CALLS", "WRITES", "STRANGERS", "WRONG_KEYS")
    },
    "MYMOTE_PASSWORD_MEMORY_KIB": "1024",
}


def settings_on_free_ports(state_dir: Path) -> StackSettings:
    """Settings of a stack that collides with no other."""
    names = [name for name in StackSettings.model_fields if name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return StackSettings.model_validate({"state_dir": state_dir, **ports})


@asynccontextmanager
async def running_stack(
    state_dir: Path, *services: str, azure: Mapping[str, str] = NOTHING
) -> AsyncIterator[LocalStack]:
    """The local Azure and some services, without any account.

    A service with a number (`ingest-2`) is one more process of it, on a port of its own.
    `azure`: more of the local Azure's environment.
    """
    stack = LocalStack.prepare(settings_on_free_ports(state_dir))
    try:
        await stack.start_azure(azure)
        await provision_database(stack)
        for name in services:
            port = free_ports(1)[0] if "-" in name else None
            await stack.start_service(name, port=port, extra=UNLIMITED)
        for name in services:
            await stack.wait_ready(name)
        yield stack
    finally:
        await stack.stop()


async def provision_database(stack: LocalStack) -> None:
    """As `mymote-operator provision` does, without a process that imports the SDKs anew."""
    settings = settings_of(stack)
    async with open_azure(settings) as azure:
        await provision(azure.cosmos, settings.cosmos_database, settings.ttls)
