"""The Cosmos DB service (NoSQL API) as an aiohttp application."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator

from aiohttp import web

from emulator.cosmos import metadata
from emulator.cosmos.authorization import authorize
from emulator.cosmos.call import Call, Reply
from emulator.cosmos.catalog import Catalog
from emulator.cosmos.documents import Documents
from emulator.cosmos.errors import CosmosError, not_emulated
from emulator.cosmos.items import Items
from emulator.cosmos.ttl import purge_for_ever
from emulator.cosmos.values import dumps
from emulator.store import Store

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 * 1024 * 1024
SERVICE_VERSION = "version=2.14.0.0"


def cosmos_app(store: Store, key: bytes) -> web.Application:
    """The service on one store; `key` is the account's key, base64-decoded."""
    catalog = Catalog(store)
    items = Items(store)
    service = _Service(store, key, catalog, Documents(store, catalog, items))
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", service.handle)

    async def purging(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(purge_for_ever(catalog, items))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(purging)
    return app


class _Service:
    def __init__(self, store: Store, key: bytes, catalog: Catalog, documents: Documents) -> None:
        self._store = store
        self._key = key
        self._catalog = catalog
        self._documents = documents

    async def handle(self, request: web.Request) -> web.Response:
        activity = request.headers.get("x-ms-activity-id") or str(uuid.uuid4())
        reply = await self._answer(request, activity)
        # What a read saw must be as durable as what a write did.
        await self._store.durable()
        return web.Response(
            status=reply.status,
            body=reply.body.encode() or None,
            content_type="application/json" if reply.body else None,
            headers={
                "x-ms-activity-id": activity,
                "x-ms-request-charge": f"{reply.charge:.2f}",
                "x-ms-serviceversion": SERVICE_VERSION,
                **reply.headers,
            },
        )

    async def _answer(self, request: web.Request, activity: str) -> Reply:
        try:
            call = await Call.of(request)
            authorize(self._key, call.headers, call.verb, call.resource_type, call.link)
            return await self._dispatch(call)
        except CosmosError as error:
            return _error(error, activity)
        except web.HTTPRequestEntityTooLarge:
            message = f"Request size is too large: at most {MAX_BODY_BYTES} bytes are allowed."
            return _error(CosmosError(413, message), activity)
        except UnicodeEncodeError:
            return _error(CosmosError(400, "The request holds a lone surrogate."), activity)
        except RecursionError:
            return _error(CosmosError(400, "The request is nested too deeply."), activity)
        except Exception:
            log.exception("the request %s failed", activity)
            message = "The local Cosmos DB failed on this request; its log says why."
            return _error(CosmosError(500, message), activity)

    async def _dispatch(self, call: Call) -> Reply:
        match call.path[0::2]:
            case ():
                return metadata.account()
            case ("dbs",) if len(call.path) == 1:
                return metadata.databases(call, self._catalog)
            case ("dbs",):
                return metadata.database(call, self._catalog)
            case ("dbs", "colls") if len(call.path) == 3:
                return metadata.containers(call, self._catalog)
            case ("dbs", "colls"):
                return metadata.container(call, self._catalog)
            case ("dbs", "colls", "pkranges") if len(call.path) == 5:
                return metadata.ranges(call, self._catalog)
            case ("dbs", "colls", "docs"):
                return await self._documents.answer(call)
        raise not_emulated(f"The resource /{'/'.join(call.path)}")


def _error(error: CosmosError, activity: str) -> Reply:
    """Azure's body of an error: a code and a message that ends in the activity's id."""
    body = dumps({"code": error.code, "message": f"{error.message}\r\nActivityId: {activity}"})
    headers = {} if error.substatus is None else {"x-ms-substatus": str(int(error.substatus))}
    return Reply(error.status, body, headers=headers)
