"""What happened to a device."""

from services.api.routes.router import customer_router

router = customer_router("devices")
