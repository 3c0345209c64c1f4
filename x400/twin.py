"""The device twin: what the gateway reports, and what the cloud desires of it."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from paho.mqtt.client import MQTTMessage

from x400.backoff import Backoff
from x400.link import Link
from x400.store import Store, write_note

RESPONSES = "$iothub/twin/res/"
DESIRED = "$iothub/twin/PATCH/properties/desired/"
GET = "$iothub/twin/GET/?$rid="
REPORT = "$iothub/twin/PATCH/properties/reported/?$rid="
RESPONSE_SECONDS = 20.0
RETRY = (2.0, 60.0)  # seconds, after 429 or 5xx

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Twin:
    """Reported properties as a merge patch that waits until the hub took it; desired ones as
    last received. Both are kept in the store."""

    def __init__(self, store: Store, on_desired: Callable[[Json], None]) -> None:
        self._store = store
        self._on_desired = on_desired  # at each connect and each change
        self.desired: Json = store.note("desired") or {}
        self._reported: Json = store.note("reported") or {}
        self._pending: Json = store.note("reported_pending") or {}
        self._answers: dict[str, asyncio.Future[tuple[int, bytes]]] = {}
        self._last_rid = 0
        self._patches = 0
        self._wake = asyncio.Event()

    @property
    def settings(self) -> Json:
        """`settings` of the desired properties: what the owner configures."""
        settings = self.desired.get("settings")
        return settings if isinstance(settings, dict) else {}

    def report(self, patch: Json) -> None:
        """Merge a patch into what is to be reported; durable on return. Raises IomoteError."""
        pending = merge(self._pending, patch, keep_null=True)
        self._store.set_note("reported_pending", pending)
        self._pending = pending
        self._wake.set()

    def report_changed(self, properties: Mapping[str, object]) -> None:
        """`report` those that differ from what the hub has, or is about to get."""
        known = merge(self._reported, self._pending)
        changed = {name: value for name, value in properties.items() if known.get(name) != value}
        if changed:
            self.report(changed)

    async def run(
        self, link: Link, own: Callable[[], Mapping[str, object]], on_known: Callable[[], None]
    ) -> None:
        """Fetch the twin and obey it, then report what waits, until cancelled or the link
        closes. After the twin was obeyed `own` tells the Core's own properties, and `on_known`
        is called."""
        backoff = Backoff(*RETRY)
        fetched = False
        while not link.closed.done():
            self._wake.clear()
            try:
                if not fetched:
                    await self._fetch(link)
                    self.report_changed(own())
                    fetched = True
                    on_known()
                await self._send_reported(link)
                backoff.reset()
            except TwinError as error:
                delay = backoff.next()
                log.warning("twin: %s; again in %.0f s", error, delay)
                await asyncio.sleep(delay)
                continue
            await self._wake.wait()

    def receive(self, message: MQTTMessage) -> None:
        """Take an answer to a request, or a change of the desired properties."""
        if message.topic.startswith(RESPONSES):
            status, _, query = message.topic[len(RESPONSES) :].partition("/")
            rid = parse_qs(query.removeprefix("?")).get("$rid", [""])[0]
            answer = self._answers.pop(rid, None)
            if answer is not None and not answer.done() and status.isdecimal():
                answer.set_result((int(status), bytes(message.payload)))
            return
        patch = _object(message.payload)
        known = self.desired.get("$version", 0)
        if patch is None or patch.get("$version", known + 1) <= known:
            return
        self._patches += 1
        self._keep_desired(merge(self.desired, patch))

    async def _fetch(self, link: Link) -> None:
        patches = self._patches
        status, body = await self._request(link, GET, b"")
        twin = _object(body)
        if status != 200 or twin is None:
            raise TwinError(f"the hub answered {status} to the twin's GET")
        desired = twin.get("desired", {})
        newer = desired.get("$version", 0) >= self.desired.get("$version", 0)
        if newer or patches == self._patches:  # a patch may have overtaken the answer
            self._keep_desired(desired)
        reported = {k: v for k, v in twin.get("reported", {}).items() if not k.startswith("$")}
        if reported != self._reported:
            self._store.set_note("reported", reported)
            self._reported = reported

    async def _send_reported(self, link: Link) -> None:
        while self._pending:
            sent = self._pending
            status, _ = await self._request(link, REPORT, json.dumps(sent).encode())
            if status == 429 or status >= 500:
                raise TwinError(f"the hub answered {status} to reported properties")
            if status >= 400:
                log.error("the hub refused reported properties %s: %d", list(sent), status)
            reported = self._reported if status >= 400 else merge(self._reported, sent)
            # What was merged in meanwhile goes again with the rest: patches are idempotent.
            pending = {} if self._pending is sent else self._pending
            with self._store.transaction() as db:
                write_note(db, "reported", reported)
                write_note(db, "reported_pending", pending)
            self._reported, self._pending = reported, pending

    async def _request(self, link: Link, topic: str, body: bytes) -> tuple[int, bytes]:
        self._last_rid += 1
        rid = str(self._last_rid)
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._answers[rid] = answer
        link.publish(topic + rid, body)
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                return await answer
        except TimeoutError:
            raise TwinError("the hub does not answer") from None
        finally:
            self._answers.pop(rid, None)

    def _keep_desired(self, desired: Json) -> None:
        if desired != self.desired:
            self._store.set_note("desired", desired)
            self.desired = desired
        self._on_desired(desired)


class TwinError(Exception):
    """The hub did not answer a twin request, or asked to try again later."""


def merge(target: Json, patch: Json, *, keep_null: bool = False) -> Json:
    """A JSON merge patch (RFC 7396); with `keep_null` two patches become one."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None and not keep_null:
            merged.pop(name, None)
        elif isinstance(value, dict):
            old = merged.get(name)
            merged[name] = merge(old if isinstance(old, dict) else {}, value, keep_null=keep_null)
        else:
            merged[name] = value
    return merged


def _object(body: bytes | bytearray) -> Json | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
