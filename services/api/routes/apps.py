"""Apps, their versions, and firmware."""

from services.api.routes.router import customer_router

router = customer_router("over the air")
