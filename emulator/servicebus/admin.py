"""Service Bus administration over HTTPS: queues as ATOM entries, on paths that are their names."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from emulator.amqp.node import Right
from emulator.sas import SasError, SasToken
from emulator.servicebus import atom
from emulator.servicebus.broker import QueueExistsError
from emulator.servicebus.description import (
    NotEmulatedError,
    parse_description,
    read_rules,
    read_settings,
)
from emulator.servicebus.queue import Queue
from emulator.servicebus.service import ServiceBus
from emulator.servicebus.settings import QueueSettings

_QUEUES = "$Resources/queues"
_NAMESPACE = "$namespaceinfo"
_NOT_EMULATED = ("$resources/", "/subscriptions", "/rules/", "/authorizationrules")
_DEFAULT_VERSION = "2021-05"
_MAX_PAGE = 100

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application, service: ServiceBus) -> None:
    """Serve the administration of `service` on every path that no other route has."""
    administration = Administration(service)
    app.router.add_route("GET", "/{name:.+}", administration.handler(administration.get))
    app.router.add_route("PUT", "/{name:.+}", administration.handler(administration.put))
    app.router.add_route("DELETE", "/{name:.+}", administration.handler(administration.delete))
    app.router.add_route("*", "/{name:.*}", administration.handler(administration.refuse))


class Administration:
    """Answers for one namespace."""

    def __init__(self, service: ServiceBus) -> None:
        self._service = service
        self._broker = service.broker

    def handler(self, answer: Handler) -> Handler:
        """`answer`, once the token is verified; a refusal becomes Azure's error document.

        What is told is durable, also where it only was read.
        """

        async def handle(request: web.Request) -> web.Response:
            response = await answer_or_refuse(request)
            await self._service.store.durable()
            return response

        async def answer_or_refuse(request: web.Request) -> web.Response:
            name = _name(request)
            try:
                self._authorize(request, "" if name.startswith("$") else name)
                _refuse_not_emulated(name)
                return await answer(request)
            except SasError as problem:
                return _error(401, f"Unauthorized access. {problem}. SubCode=40100.")
            except NotEmulatedError as what:
                return _error(501, f"The local Service Bus does not emulate {what}.")
            except QueueExistsError:
                return _error(
                    409, f"SubCode=40900. Conflict. The entity '{name}' already exists: update it."
                )
            except ValueError as problem:
                return _error(400, f"SubCode=40000. Bad Request. {problem}")

        return handle

    async def get(self, request: web.Request) -> web.Response:
        """A queue, the list of queues, or the namespace."""
        name = _name(request)
        if name.lower() == _QUEUES.lower():
            return _xml(self._list(request))
        if name.lower() == _NAMESPACE:
            now = self._broker.scheduler.clock()
            return _xml(atom.namespace_entry(_base(request), _version(request), now))
        queue = self._broker.find(name)
        if queue is None:
            # Azure answers 200 with an empty list; the SDKs make "not found" of it.
            return _xml(atom.no_entity(str(request.url), self._broker.scheduler.clock()))
        return _xml(self._entry(request, queue))

    async def put(self, request: web.Request) -> web.Response:
        """Create a queue; with `If-Match: *`, update it."""
        name = _name(request)
        description = parse_description((await request.read()).decode())  # whatever it says it is
        queue = self._broker.find(name)
        now = self._broker.scheduler.clock()
        if request.headers.get("If-Match") is None:
            settings = read_settings(description, QueueSettings())
            queue = self._broker.create(name, settings, read_rules(description, (), now))
            status = 201
        elif queue is None:
            return _missing(name)
        else:
            settings = read_settings(description, queue.settings)
            self._broker.update(queue, settings, read_rules(description, queue.rules, now))
            status = 200
        return _xml(self._entry(request, queue), status)

    async def delete(self, request: web.Request) -> web.Response:
        name = _name(request)
        queue = self._broker.find(name)
        if queue is None:
            return _missing(name)
        self._broker.delete(queue)
        return web.Response(status=200)

    async def refuse(self, request: web.Request) -> web.Response:
        """Messages over HTTPS, and whatever else is no administration of queues."""
        raise NotEmulatedError(f"{request.method} {request.path[:260]}")

    def _list(self, request: web.Request) -> str:
        skip = _count(request, "$skip", 0)
        top = min(_count(request, "$top", _MAX_PAGE), _MAX_PAGE)
        names = self._broker.names(skip, top + 1)
        entries = [self._entry(request, self._broker.queue(name)) for name in names[:top]]
        url = f"{_base(request)}/{_QUEUES}"
        page = atom.Page(url, _version(request), skip, top, more=len(names) > top)
        return atom.feed("Queues", entries, page, self._broker.scheduler.clock())

    def _entry(self, request: web.Request, queue: Queue) -> str:
        times = self._broker.times(queue)
        return atom.queue_entry(_base(request), _version(request), queue, times)

    def _authorize(self, request: web.Request, address: str) -> None:
        token = SasToken.parse(request.headers.get("Authorization", ""))
        if Right.MANAGE not in self._service.rights(address, token):
            raise SasError("'Manage' claim(s) are required to perform this operation")


def _refuse_not_emulated(name: str) -> None:
    lowered = name.lower()
    if lowered != _QUEUES.lower() and any(part in lowered for part in _NOT_EMULATED):
        raise NotEmulatedError("topics, subscriptions, rules and Resource Manager's paths")


def _name(request: web.Request) -> str:
    return request.match_info["name"].strip("/")


def _version(request: web.Request) -> str:
    version = request.query.get("api-version", _DEFAULT_VERSION)
    if not version.replace("-", "").isalnum():
        raise ValueError("api-version is not a version such as 2021-05")
    return version


def _count(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(f"{name} must be a number that is not negative")
    return int(text)


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/atom+xml")


def _error(status: int, detail: str) -> web.Response:
    return web.Response(
        text=atom.error(status, detail), status=status, content_type="application/xml"
    )


def _missing(name: str) -> web.Response:
    return _error(404, f"SubCode=40400. Not Found. The messaging entity '{name}' does not exist.")
