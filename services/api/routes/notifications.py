"""Notifications: reading, acknowledging, clearing them."""

from services.api.routes.router import customer_router

router = customer_router("notifications")
