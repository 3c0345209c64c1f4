"""Signing in, sessions, passwords."""

from services.api.routes.router import customer_router

router = customer_router("people")
