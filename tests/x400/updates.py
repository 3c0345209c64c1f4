"""Orders for a gateway, and what becomes of them."""

import os
from typing import Any

from tests.x400.gateways import DEVICE_ID, until
from tests.x400.local_hub import Hub
from x400.app import Iomote

APP = os.urandom(200_001)
FIRMWARE = os.urandom(1_000_003)


async def sketch(iomote: Iomote) -> None:
    iomote.begin("first sketch", 1, 0, 0)
    while True:
        await iomote.wait(60)


def desire(hub: Hub, order: dict[str, Any] | None, kind: str = "app") -> None:
    """Give an order, or take it back."""
    hub.desire(DEVICE_ID, {f"ota_{kind}": order})


def reported(hub: Hub, kind: str = "app") -> dict[str, Any]:
    """What the gateway says of its last order."""
    said: dict[str, Any] = hub.reported(DEVICE_ID).get(f"ota_{kind}", {})
    return said


async def told(hub: Hub, state: str, kind: str = "app") -> None:
    """Wait until a state was reported, which may be over by now."""
    name = f"ota_{kind}"
    await until(lambda: any(each.get(name, {}).get("state") == state for each in hub.reports))


async def ends(hub: Hub, job: str, state: str, kind: str = "app") -> str:
    """Wait for a reported state; its error."""

    def ended() -> bool:
        said = reported(hub, kind)
        return (said.get("job"), said.get("state")) == (job, state)

    await until(ended)
    assert reported(hub, kind).keys() == {"job", "state", "percent", "error"}
    return str(reported(hub, kind)["error"])


async def runs(hub: Hub, name: str, version: str) -> None:
    """Wait until the app that runs is reported."""
    app = {"app_name": name, "app_version": version}
    await until(lambda: app.items() <= hub.reported(DEVICE_ID).items())
