"""The demo app: what a first sketch on an X400 does."""

import json
import logging
import random
import time

from x400 import quota
from x400.app import IOMOTE_NOTIFICATION, IOMOTE_WARNING, Iomote
from x400.errors import ErrorCode

NAME, VERSION = "X400 demo", (1, 0, 0)

EAGER_SECONDS = 120.0  # so long a reading every EAGER_INTERVAL
EAGER_INTERVAL = 10.0
KEPT_FOR_THE_DAY = 20  # of the quota: the eager phase of many restarts does not touch these
FIRST_NOTIFICATION = 60.0
NOTIFICATION_INTERVAL = 1800.0  # 48 a day of the 100 allowed
WARM = 26.0  # °C

log = logging.getLogger(__name__)


def next_reading(running: float, now: float, left: int) -> float:
    """Seconds until the next reading by itself.

    `running` seconds since the app began, `now` in Unix seconds, `left` of today's quota.
    """
    if running < EAGER_SECONDS and left > KEPT_FOR_THE_DAY:
        return EAGER_INTERVAL
    until_midnight = quota.seconds_left(now)
    if left <= 0:
        return until_midnight
    return max(EAGER_INTERVAL, until_midnight / left)


class Climate:
    """A room: temperature and humidity wander, and are drawn back to 22 °C and 45 %."""

    def __init__(self) -> None:
        self.temperature = random.uniform(20, 24)  # noqa: S311 - a simulation
        self.humidity = random.uniform(40, 50)  # noqa: S311

    def reading(self) -> dict[str, float]:
        """The next reading: °C and % relative humidity, one decimal."""
        self.temperature += (22 - self.temperature) * 0.05 + random.gauss(0, 0.4)
        self.humidity += (45 - self.humidity) * 0.05 + random.gauss(0, 0.8)
        self.humidity = min(max(self.humidity, 0), 100)
        return {"temperature": round(self.temperature, 1), "humidity": round(self.humidity, 1)}


async def demo(iomote: Iomote) -> None:
    """The sketch. It sends a reading on each press of the button and by itself."""
    iomote.begin(NAME, *VERSION)
    climate = Climate()
    began = time.monotonic()
    reading_at = began
    notify_at = began + FIRST_NOTIFICATION
    was_pressed = False
    while True:
        now = time.monotonic()
        pressed = iomote.pressed()
        if pressed and not was_pressed:
            send_reading(iomote, climate, "button")
        was_pressed = pressed
        if now >= reading_at:
            send_reading(iomote, climate, "timer")
            reading_at = now + next_reading(now - began, time.time(), iomote.messagesLeft())
        if now >= notify_at:
            send_notification(iomote, climate)
            notify_at = now + NOTIFICATION_INTERVAL
        while iomote.userMessageAvailable():
            show_user_message(iomote.userMessageRead())
        await iomote.wait(min(reading_at, notify_at) - time.monotonic())


def send_reading(iomote: Iomote, climate: Climate, cause: str) -> None:
    """Send one reading as JSON; say why where it was refused."""
    text = json.dumps(climate.reading() | {"cause": cause})
    code = iomote.sendMessage(text, content_type="application/json", content_encoding="utf-8")
    if code == ErrorCode.IOMOTE_ERR_MSG_LIMIT:
        log.warning("today's quota of messages is used up; readings go on after 00:00 UTC")
    elif code:
        log.warning("the Core refused the reading: %s", ErrorCode(code).name)
    else:
        log.info("reading stored: %s", text)


def send_notification(iomote: Iomote, climate: Climate) -> None:
    """Tell the temperature, as a warning where it is warm."""
    level = IOMOTE_WARNING if climate.temperature >= WARM else IOMOTE_NOTIFICATION
    code = iomote.sendNotification(level, f"The room is at {climate.temperature:.1f} degrees")
    if code:
        log.warning("the Core refused the notification: %s", ErrorCode(code).name)


def show_user_message(body: bytes) -> None:
    """Handle a message from the cloud: this app only shows it."""
    log.info("user message: %s", body.decode("utf-8", "replace"))
