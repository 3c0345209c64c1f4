"""Accounts are spread over the Service Bus namespaces of the settings."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.api.logic.accounts import (
    create_account,
    namespaces_in_use,
    recount_namespaces,
)
from services.api.logic.ids import new_user_id
from services.api.resources import Resources, open_resources
from shared.errors import Conflict
from stack.local import LocalStack
from tests.api.customers import new_customer, settings_of

CAPACITY = 3


@pytest.fixture
async def two(stack: LocalStack) -> AsyncIterator[Resources]:
    """Two names for the one local namespace, each new to the platform."""
    names = [f"n-{new_user_id()}" for _ in range(2)]
    namespaces = dict.fromkeys(names, stack.endpoints.servicebus)
    settings = settings_of(stack, servicebus_namespaces=namespaces, accounts_per_namespace=CAPACITY)
    async with open_resources(settings) as opened:
        yield opened


async def test_accounts_go_to_the_emptiest_until_all_are_full(two: Resources) -> None:
    for _ in range(2):
        await new_customer(two)
    assert await _counts(two) == [1, 1]
    # At once: the counters hold, whoever is quicker.
    made = await asyncio.gather(*(new_customer(two) for _ in range(7)), return_exceptions=True)
    refused = [each for each in made if isinstance(each, BaseException)]
    assert all(isinstance(each, Conflict) for each in refused)
    assert len(made) - len(refused) == 2 * CAPACITY - 2
    assert await _counts(two) == [CAPACITY, CAPACITY]
    assert "MYMOTE_SERVICEBUS_NAMESPACES" in str(refused[0])
    assert await recount_namespaces(two.making_accounts) == await namespaces_in_use(
        two.making_accounts
    )


async def test_completing_an_account_counts_it_once(two: Resources) -> None:
    user_id = new_user_id()
    for _ in range(3):
        await create_account(two.making_accounts, user_id=user_id, username="x")
    assert sum(await _counts(two)) == 1
    contested = new_user_id()
    await asyncio.gather(
        *(create_account(two.making_accounts, user_id=contested, username="x") for _ in range(3)),
        return_exceptions=True,  # some are told that another one makes it
    )
    assert await two.accounts.get(contested) is not None
    assert sum(await _counts(two)) == 2


async def test_a_namespace_that_nobody_counted_is_counted_once(two: Resources) -> None:
    customer = await new_customer(two)
    account = await two.accounts.get(customer.user_id)
    assert account is not None
    name = account.servicebus_namespace
    await two.namespaces.container.delete_item(name, partition_key=name)
    assert sum(await _counts(two)) == 1
    # Interrupted before the account was made: too high, until the operator counts anew.
    assert await two.namespaces.take(name, CAPACITY)
    assert sum(await _counts(two)) == 2
    await recount_namespaces(two.making_accounts)
    assert sum(await _counts(two)) == 1


async def _counts(resources: Resources) -> list[int]:
    return sorted(use.accounts for use in await namespaces_in_use(resources.making_accounts))
