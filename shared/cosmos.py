"""Cosmos DB's failures as ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.errors import Unavailable

CALL_SECONDS = 5.0
LIST_SECONDS = 20.0
LIST_PAGE = 1000  # items in one reply of the database

# Request timeout, too many requests, service unavailable; the SDK has retried these already.
PASSING = (408, 429, 503)


@asynccontextmanager
async def cosmos_call(seconds: float = CALL_SECONDS) -> AsyncIterator[None]:
    """Bound a call in time; raises `Unavailable` where the database does not answer.

    "Not found", "exists" and "changed" pass through: they are answers.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (
        CosmosResourceNotFoundError,
        CosmosResourceExistsError,
        CosmosAccessConditionFailedError,
    ):
        raise
    except CosmosHttpResponseError as error:
        if error.status_code not in PASSING:
            raise
        raise _unavailable() from error
    except (AzureError, TimeoutError, OSError) as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The database does not answer; try again in a few seconds.")
