"""Groups: making, editing, deleting them."""

from services.api.routes.router import customer_router

router = customer_router("groups")
