"""Pairing, editing and unpairing devices."""

from services.api.routes.router import customer_router

router = customer_router("devices")
