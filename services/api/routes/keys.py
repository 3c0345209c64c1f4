"""API keys: making, renewing with an overlap, revoking them."""

from services.api.routes.router import customer_router

router = customer_router("account")
