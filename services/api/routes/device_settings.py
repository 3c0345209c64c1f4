"""What a device is told and what it reports: settings, properties, reboot."""

from services.api.routes.router import customer_router

router = customer_router("devices")
