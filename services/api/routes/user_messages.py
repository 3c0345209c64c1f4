"""User messages after they were sent: their state."""

from services.api.routes.router import customer_router

router = customer_router("user messages")
