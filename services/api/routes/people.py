"""People of an account, their roles, and inviting them."""

from services.api.routes.router import customer_router

router = customer_router("people")
