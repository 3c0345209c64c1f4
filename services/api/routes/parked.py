"""Messages that are not delivered yet."""

from services.api.routes.router import customer_router

router = customer_router("parked messages")
