"""One order on its way: accepted, downloaded, checked, installed, and reported at each step."""

import asyncio
import logging
import time
from dataclasses import asdict, replace

from x400.errors import ErrorCode, IomoteError
from x400.faults import Fault
from x400.ota_download import Download
from x400.ota_file import Part
from x400.ota_gear import Gear, Hooks
from x400.ota_order import (
    OtaCode,
    OtaError,
    OtaKind,
    OtaOrder,
    OtaRejectedError,
    fingerprint,
    job_of,
)
from x400.ota_progress import FINAL, UNDER_WAY, OtaState, Progress
from x400.store import write_note
from x400.twin import Json

REPORT_EACH = 25  # percent of a download
REPORT_SECONDS = 60.0  # on a slow network, so that nobody takes it for stuck

log = logging.getLogger(__name__)


class Update:
    """Follows the orders of one kind: the newest counts, an installation is never cut."""

    def __init__(self, kind: OtaKind, gear: Gear, hooks: Hooks) -> None:
        self.kind = kind
        self._gear = gear
        self._hooks = hooks
        self._part = Part(gear.store, kind)
        self._download: Download | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._told_at = 0.0  # monotonic
        kept = gear.store.note(kind.property)
        self._progress = Progress.of_json(kept) if kept else None
        if self._progress is not None and self._progress.state is OtaState.INSTALLING:
            why = f"seen at the start after it; the old {kind.value} runs"
            self._keep(self._progress.ended(OtaError(OtaCode.POWER_LOST, why)))

    @property
    def report(self) -> Json | None:
        """The reported property; None where there is nothing to tell."""
        return None if self._progress is None else self._progress.report()

    def obey(self, value: object) -> None:
        """Take the desired property as it is now; None: there is no order. Raises IomoteError."""
        last = self._progress
        if last is not None and last.state is OtaState.INSTALLING:
            return  # looked at again when that is over
        if not job_of(value):
            if value is not None:
                log.error("%s: an order for the %s names no job", self._gear.device_id, self.kind)
            self._cancel()
        elif last is None or last.mark != fingerprint(value):
            self._take(value, last)
        elif last.state in UNDER_WAY and self._task is None:
            self._go_on(value, last)

    def forget(self) -> None:
        """Leave no trace of any order. Raises IomoteError."""
        self._halt()
        self._part.drop()
        if self._progress is not None:
            self._keep(None)
            self._hooks.report({self.kind.property: None})

    async def stop(self) -> None:
        """The Core's life ends; the next one goes on from the store."""
        self._halt()
        if self._ending:
            await asyncio.wait(self._ending)

    def _take(self, value: object, last: Progress | None) -> None:
        """An order that is new, or that came again with a fresh ticket."""
        fresh = Progress(job_of(value), fingerprint(value), OtaState.ACCEPTED)
        again = last if last is not None and last.job == fresh.job else None
        if again is not None and again.state in FINAL:
            self._tell(replace(again, mark=fresh.mark))
            return
        if self._gear.faults.happens(Fault.NEVER_ANSWER):
            self._halt()
            self._tell(replace(fresh, state=OtaState.IGNORED))
            return
        try:
            order = self._read(value)
        except OtaRejectedError as error:
            self._halt()
            self._tell(fresh.ended(error))
            return
        running = self._download
        if again is not None and running is not None and running.order.sha256 == order.sha256:
            self._tell(replace(again, mark=fresh.mark))
            running.readdress(order)
            return
        self._halt()
        self._tell(fresh)
        self._begin(order)

    def _cancel(self) -> None:
        """The order was taken back, or is over for the cloud."""
        if self._progress is None or self._progress.state is OtaState.SUCCEEDED:
            return
        if self._progress.state in UNDER_WAY:
            self.forget()
        else:
            self._part.drop()

    def _go_on(self, value: object, last: Progress) -> None:
        """Where the former life ended; the gateway's settings may have changed since."""
        try:
            self._begin(self._read(value))
        except OtaRejectedError as error:
            self._tell(last.ended(error))

    def _read(self, value: object) -> OtaOrder:
        """Raises OtaRejectedError where the order is wrong, or this gateway cannot."""
        order, settings = OtaOrder.parse(self.kind, value), self._gear.settings
        if not settings.key():
            why = "give it its key, such as by MYMOTE_X400_DEVICE_KEY"
            raise OtaRejectedError(OtaCode.NO_DEVICE_KEY, why)
        app = self.kind is OtaKind.APP
        room = settings.ota_app_bytes if app else settings.ota_firmware_bytes
        if order.size > room:
            why = f"{order.size} bytes; the memory for the {self.kind} holds {room}"
            raise OtaRejectedError(OtaCode.TOO_LARGE, why)
        return order

    def _begin(self, order: OtaOrder) -> None:
        gear = self._gear
        self._download = Download(gear.settings, order, gear.faults, gear.online, gear.clock)
        name = f"update {gear.device_id} {self.kind}"
        self._task = asyncio.create_task(self._run(self._download), name=name)

    def _halt(self) -> None:
        task, self._task, self._download = self._task, None, None
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _run(self, download: Download) -> None:
        try:
            await self._carry_out(download)
        except OtaError as error:
            self._end(error)
        except IomoteError as error:
            if error.code is ErrorCode.IOMOTE_ERR_STORAGE_FULL:
                self._part.drop()  # messages need the room
            self._hooks.fault(error)
        except OSError as error:
            self._part.drop()
            why = f"the gateway cannot keep the file: {error.strerror}"
            self._end(OtaError(OtaCode.DOWNLOAD_FAILED, why))
        except Exception as error:
            log.exception("%s: the update failed", self._gear.device_id)
            why = f"the gateway's own software failed: {type(error).__name__}"
            self._end(OtaError(OtaCode.INSTALL_FAILED, why))
        finally:
            await download.close()
        if self._download is download:
            self._task = self._download = None
            self._look_again()

    async def _carry_out(self, download: Download) -> None:
        order = download.order
        await self._check_signature(download)
        await self._fetch(download)
        async with self._gear.installing:
            await self._install(order)

    async def _check_signature(self, download: Download) -> None:
        """Before the download: it covers size and hash, which are checked after it."""
        keys, order = self._gear.keys, download.order
        if not keys:
            why = "the gateway trusts no key yet; set MYMOTE_X400_OTA_PUBLIC_KEYS"
            raise OtaRejectedError(OtaCode.BAD_SIGNATURE, why)
        if keys.verifies(order.signed(), order.signature):
            return
        keys.learn(await download.keys())
        if not keys.verifies(order.signed(), order.signature):
            why = "not made by a key that the gateway trusts, nor by one that such a key signed"
            raise OtaRejectedError(OtaCode.BAD_SIGNATURE, why)

    async def _fetch(self, download: Download) -> None:
        """Have the whole binary, checked; an earlier attempt may have left it, or some of it."""
        order, part = download.order, self._part
        part.begin(order)
        if part.size == order.size:
            try:
                return await asyncio.to_thread(part.check, order)
            except OtaError:
                part.drop()
        self._advance(OtaState.DOWNLOADING, part.size * 100 // order.size)
        await download.into(part, self._on_percent)
        if self._gear.faults.happens(Fault.CORRUPT):
            part.corrupt()
        try:
            await asyncio.to_thread(part.check, order)
        except OtaError:
            part.drop()
            raise

    async def _install(self, order: OtaOrder) -> None:
        gear, what = self._gear, f"{order.name} {order.version}"
        self._advance(OtaState.INSTALLING, 100)
        await asyncio.sleep(gear.settings.install_time / 2)
        if gear.faults.happens(Fault.POWER_LOSS):
            self._hooks.power_lost()
            await asyncio.Event().wait()  # the dark ends this task
        await asyncio.sleep(gear.settings.install_time / 2)
        if gear.faults.happens(Fault.FAIL_INSTALL):
            why = f"the memory for the {self.kind} could not be written; the old one runs"
            raise OtaError(OtaCode.INSTALL_FAILED, why)
        self._put_in_place(order)
        if self.kind is OtaKind.FIRMWARE:
            self._hooks.firmware_installed(f"after installing firmware {what}")
            await asyncio.Event().wait()  # the reset ends this task
        self._hooks.app_installed(f"{what} was installed")

    def _put_in_place(self, order: OtaOrder) -> None:
        """Installed and succeeded in one transaction: a power cut comes before or after it."""
        progress = replace(self._now(), state=OtaState.SUCCEEDED)
        with self._gear.store.transaction() as db:
            self._gear.installed.write(db, order)
            write_note(db, self.kind.property, asdict(progress))
        self._part.drop()
        self._tell(progress)

    def _on_percent(self, percent: int) -> None:
        told = self._now().percent
        late = percent != told and time.monotonic() >= self._told_at + REPORT_SECONDS
        if late or percent // REPORT_EACH != told // REPORT_EACH:
            self._advance(OtaState.DOWNLOADING, percent)

    def _advance(self, state: OtaState, percent: int) -> None:
        self._tell(replace(self._now(), state=state, percent=percent))

    def _end(self, error: OtaError) -> None:
        try:
            self._tell(self._now().ended(error))
        except IomoteError as failure:
            self._hooks.fault(failure)

    def _now(self) -> Progress:
        """While an order is under way there is one."""
        if self._progress is None:
            raise RuntimeError("no order is under way")
        return self._progress

    def _look_again(self) -> None:
        """Whether another order came while this one was installed."""
        try:
            self.obey(self._hooks.desired().get(self.kind.property))
        except IomoteError as error:
            self._hooks.fault(error)

    def _tell(self, progress: Progress) -> None:
        """Keep and report. A kill in between is mended at the next connect (`report`)."""
        self._keep(progress)
        self._told_at = time.monotonic()
        if progress.report() is not None:
            log.info(
                "%s: %s order %s: %s %d %% %s",
                self._gear.device_id,
                self.kind,
                progress.job,
                progress.state,
                progress.percent,
                progress.error,
            )
            self._hooks.report({self.kind.property: progress.report()})

    def _keep(self, progress: Progress | None) -> None:
        kept = None if progress is None else asdict(progress)
        self._gear.store.set_note(self.kind.property, kept)
        self._progress = progress
