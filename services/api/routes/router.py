"""What happens around every call."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from services.api.routes.auditing import audited
from services.api.routes.dependencies import (
    PREFIX,
    Calling,
    admit,
    client_address,
    identify,
    opened,
)
from services.api.routes.idempotency import is_idempotent, once
from services.api.routes.json_body import with_json
from services.api.routes.query import check_query, query_forms
from shared.errors import Unauthorized
from shared.rate_limit import stranger

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A call that takes the query and the JSON body it documents, and nothing else."""

    def get_route_handler(self) -> Handler:
        """FastAPI's, behind the checks."""
        answer = super().get_route_handler()
        known = query_forms(self.dependant)
        body = self.body_field

        async def handle(request: Request) -> Response:
            check_query(request, known)
            if body is not None:
                request = await with_json(request, required=body.field_info.is_required())
            return await answer(request)

        return handle


class PublicRoute(StrictRoute):
    """A call of somebody yet unknown; an address makes a limited number of them."""

    def get_route_handler(self) -> Handler:
        """The strict one, behind the limit."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            spend_as_stranger(request)
            return await answer(request)

        return handle


class CustomerRoute(StrictRoute):
    """A call that an account's keys and people make.

    In this order: who calls (401), how often (429), whether they may (403), then the call
    itself, once only for each Idempotency-Key. What may change something is written down
    (routes/auditing.py), also where it is refused.
    """

    def get_route_handler(self) -> Handler:
        """The strict one, behind all that."""
        answer = super().get_route_handler()
        idempotent = is_idempotent(self.dependant)
        operation = str(self.operation_id)

        async def permitted(request: Request) -> Response:
            caller: Calling = request.state.caller
            admit(request, caller, operation)
            if idempotent:
                return await once(request, caller, operation, answer)
            return await answer(request)

        async def handle(request: Request) -> Response:
            caller = await _identified(request)
            _spend(request, caller)
            return await audited(request, caller, operation, permitted)

        return handle


def customer_router(tag: str) -> APIRouter:
    """A router for calls of one kind."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=CustomerRoute)


def public_router(tag: str) -> APIRouter:
    """A router for calls without an account in their path, such as signing in."""
    return APIRouter(prefix="/api", tags=[tag], route_class=PublicRoute)


async def _identified(request: Request) -> Calling:
    try:
        return await identify(request)
    except Unauthorized:
        # Only what fails counts: others behind the same address must not suffer.
        spend_as_stranger(request)
        raise


def _spend(request: Request, caller: Calling) -> None:
    limits = opened(request).limits
    who = f"{caller.user_id} {caller.principal.kind} {caller.principal.id}"
    budget = limits.calls.spend(who)
    if request.method != "GET":
        budget = limits.writes.spend(who)
    request.state.reply_headers = budget.headers


def spend_as_stranger(request: Request) -> None:
    """Count a call that nobody vouches for. Raises TooMany."""
    opened(request).limits.strangers.spend(stranger(client_address(request)))
