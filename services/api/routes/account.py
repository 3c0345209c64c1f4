"""The account: its profile and its queue."""

from services.api.routes.router import customer_router

router = customer_router("account")
