"""What all calls under `/api/user/{userid}/{webapi_key}` share."""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from services.api.routes.dependencies import PREFIX


class CustomerRoute(APIRoute):
    """A call that an account's keys and people make."""


def customer_router(tag: str) -> APIRouter:
    """A router for calls of one kind."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=CustomerRoute)
