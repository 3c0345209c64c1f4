"""What happened to a device."""

from datetime import datetime

from pydantic import BaseModel, Field

from services.api.entities.page import Page


class TimelineEvent(BaseModel):
    """TIMELINEEVENT: one thing that happened to a device while the account had it."""

    id: str = Field(description="Opaque.", examples=["8e0f6c1d2b3a49587766554433221100"])
    at: datetime = Field(
        description="When the cloud learned of it; the timeline has this order.",
        examples=["2026-03-14T12:00:00Z"],
    )
    created_at: datetime = Field(
        description="When it happened, by the clock of whoever says so: the gateway or the cloud.",
        examples=["2026-03-14T11:58:30Z"],
    )
    event: str = Field(
        description=(
            "`connected`, `disconnected`, `flapping`; `notification`; `over_quota`, "
            "`parking_limit`; what people and keys ordered and changed, such as `paired`, "
            "`edited`, `settings_changed`, `reboot_ordered`; what the gateway says of itself: "
            "`started`, `rebooted`, `app_restarted`, `quota_reached`, `storage_full`, "
            "`network_changed`. More may be added."
        ),
        examples=["connected"],
    )
    detail: str = Field(description='More of it; "" where there is none.', examples=["watchdog"])
    level: int = Field(
        description="Of a notification: 1 info, 2 warning, 3 alarm; 0 of all else.", examples=[0]
    )


class TimelinePage(Page[TimelineEvent]):
    """TIMELINEPAGE: some of a device's timeline, newest first."""
