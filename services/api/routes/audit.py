"""Who did what, when, from where."""

from services.api.routes.router import customer_router

router = customer_router("people")
