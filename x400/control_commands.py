"""What the control socket can ask of a running gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from x400 import board
from x400.board import BUTTON, LOW
from x400.errors import ErrorCode, IomoteError
from x400.faults import Fault
from x400.gateway import Gateway
from x400.messages import Kind, Level, Outcome

PRESS_SECONDS = 2.0  # for the app to answer a press with a message
LET_GO_SECONDS = board.PRESS_SECONDS + 0.1  # for the app to see that nobody presses

Answer = dict[str, Any]


class CommandError(Exception):
    """The gateway refuses; the text says why."""


async def press(gateway: Gateway, _: Answer) -> Answer:
    """Push the button, and tell what the app sent in answer."""
    told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    if gateway.board.digital(BUTTON) == LOW:  # still, from the press before: one lets go first
        await asyncio.sleep(LET_GO_SECONDS)

    def note(outcome: Outcome) -> None:
        if not told.done():
            told.set_result(outcome)

    end = gateway.watch(note)
    try:
        gateway.press()
        with suppress(TimeoutError):
            async with asyncio.timeout(PRESS_SECONDS):
                return _outcome(await told)
    finally:
        end()
    return {"mid": None, "body": None, "connected": _connected(gateway)}


async def notify(gateway: Gateway, request: Answer) -> Answer:
    """Send a notification at once, as the app would."""
    try:
        level = Level[str(request.get("level", "info")).upper()]
    except KeyError:
        raise CommandError("the level is info, warning or alarm") from None
    text = str(request.get("text", "")).encode(errors="surrogateescape")
    try:
        stored = gateway.core.send_notification(level, text)
    except IomoteError as error:
        raise CommandError(_explain(error)) from None
    return {"mid": stored.mid, "connected": _connected(gateway)}


async def status(gateway: Gateway, _: Answer) -> Answer:
    """Everything that can be seen from outside."""
    core = gateway.core
    net, kind = core.net_status()
    settings = gateway.settings
    return {
        "device": core.device_id,
        "led": core.led.value,
        "net_status": net.name,
        "net_type": kind.name,
        "plugged": core.cloud.plugged,
        "pending": core.outbox.pending(),
        "messages_used": core.outbox.used(Kind.DATA),
        "messages_limit": settings.daily_messages,
        "notifications_used": core.outbox.used(Kind.NOTIFICATION),
        "notifications_limit": settings.daily_notifications,
        "user_messages": core.inbox.waiting(),
        "app": core.app_name_and_version(),
        "fwversion": core.fwversion,
        "updates": core.updates.reports(),
        "faults": core.updates.faults.json(),
        "settings": core.twin.settings,
        "resets": gateway.resets,
    }


async def messages(gateway: Gateway, _: Answer) -> Answer:
    """User messages: those that wait, and the last ones that the app has read."""
    return {
        "waiting": [body.decode("utf-8", "replace") for body in gateway.core.inbox.bodies()],
        "read": [body.decode("utf-8", "replace") for body in gateway.messages_read],
    }


async def unplug(gateway: Gateway, _: Answer) -> Answer:
    """Pull the network cable."""
    gateway.unplug()
    return {}


async def plug(gateway: Gateway, _: Answer) -> Answer:
    """Put the network cable back."""
    gateway.plug()
    return {}


async def reboot(gateway: Gateway, _: Answer) -> Answer:
    """Reset the gateway."""
    gateway.reset("by hand")
    return {}


async def fault(gateway: Gateway, request: Answer) -> Answer:
    """Switch a fault of updates on, or all `off`; `show` only tells. Those that are on."""
    faults = gateway.core.updates.faults
    name, at, times = request.get("name"), request.get("at"), request.get("times")
    if name == "off":
        faults.clear()
    elif name in set(Fault):
        try:
            faults.arm(Fault(name), times, at)
        except ValueError as error:
            raise CommandError(str(error)) from None
    elif name != "show":
        raise CommandError(f"there are {', '.join(Fault)}; and off, and show")
    return {"faults": faults.json()}


COMMANDS: dict[str, Callable[[Gateway, Answer], Awaitable[Answer]]] = {
    "press": press,
    "notify": notify,
    "status": status,
    "messages": messages,
    "unplug": unplug,
    "plug": plug,
    "reboot": reboot,
    "fault": fault,
}


def _outcome(outcome: Outcome) -> Answer:
    if outcome.stored is None:
        raise CommandError(f"the button was pressed, but {_refused(outcome.code)}")
    return {"mid": outcome.stored.mid, "body": outcome.draft.body.decode("utf-8", "replace")}


def _connected(gateway: Gateway) -> bool:
    return gateway.core.net_status()[0].name == "CLOUD_CONNECTED"


def _refused(code: int) -> str:
    if code == ErrorCode.IOMOTE_ERR_MSG_LIMIT:
        return "today's quota of messages is used up; the next day begins at 00:00 UTC"
    return f"the Core refused the message: {ErrorCode(code).name}"


def _explain(error: IomoteError) -> str:
    return f"the Core refused the notification: {error.reason}"
