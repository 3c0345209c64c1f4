"""Who may download what: whoever has a file's key, or a device with a ticket and its own proof."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import SecretStr

from services.ota.logic import proof, tickets
from services.ota.logic.chunks import Blob, Chunks
from services.ota.logic.joined import Joined
from services.ota.logic.places import Places
from services.ota.logic.ranges import Part
from services.ota.logic.refusals import Concerned, Refused
from services.ota.store.blob_reading import Tampered
from services.ota.store.downloads import DownloadDocuments
from shared.errors import Forbidden, NotFound, Unavailable
from shared.schemas.artifacts import AppVersionDocument, FirmwareDocument
from shared.schemas.audit import PLATFORM
from shared.schemas.documents import DeviceDocument
from shared.schemas.jobs import ENDS, Job
from shared.wrong_keys import WrongKeys

_APP = re.compile(r"apps/([a-z0-9-]{1,50})/([A-Za-z0-9_-]{1,64})\.bin")
_FIRMWARE = re.compile(r"firmware/[A-Za-z0-9_-]{1,64}\.bin")

LOOK_SECONDS = 5.0  # between two looks whether the job of a download has ended

KEY_REFUSED, TICKET_REFUSED, TAMPERED = "downloadRefused", "ticketRefused", "tamperedBlob"


@dataclass(frozen=True)
class File:
    """A file that may be downloaded: in storage it is as it was uploaded."""

    blob: Blob
    md5: str  # base64
    sha256: str  # hex
    concerned: Concerned
    job_id: str = ""  # by a ticket

    @property
    def etag(self) -> str:
        """Of HTTP, quoted; whatever storage does, the same bytes have the same one."""
        return f'"{self.sha256}"'


@dataclass(frozen=True)
class TicketCall:
    """A request with a ticket. `device_id` and `job_id` are the path's; what is missing is ""."""

    method: str
    device_id: str
    job_id: str
    ticket: str
    proof: str
    now: datetime


@dataclass(frozen=True)
class Downloads:
    """What a download is allowed by, and read from."""

    documents: DownloadDocuments
    check: Joined[Blob, None]
    firmware: Joined[str, FirmwareDocument | None]
    chunks: Chunks
    ticket_key: SecretStr
    wrong_keys: WrongKeys
    places: Places
    look_seconds: float = LOOK_SECONDS

    async def by_key(self, filepath: str, key: str, address: str) -> File:
        """Whoever has the key may. Raises Refused, Unavailable, and TooMany without looking where
        too many wrong keys came from the address."""
        who = Concerned(KEY_REFUSED)
        if not key:
            raise Refused(
                403,
                "A download needs the file's key: put its download_key into the query (?key=…) or "
                "into the header X-Download-Key.",
                who,
            )
        shown = f"{filepath} {key}"
        self.wrong_keys.require_room(address, shown)
        found = await self._artifact(filepath)
        expected = found.download_key.encode() if found else b""
        if not hmac.compare_digest(key.encode(errors="replace"), expected) or found is None:
            self.wrong_keys.was_wrong(address, shown)
            raise Refused(
                404,
                "There is no file of this path and key. Take filepath and download_key of one app "
                "version or firmware; it may have been deleted.",
                _concerned(who, found) if found else who,
            )
        self.wrong_keys.was_right(shown)
        blob = Blob(found.filepath, found.blob_etag, found.size)
        return await self._checked(File(blob, found.sig_md5, found.sha256, _concerned(who, found)))

    async def by_ticket(self, call: TicketCall) -> File:
        """The device of the job may, until the job ends. Raises Refused and Unavailable."""
        who = Concerned(TICKET_REFUSED, device_id=call.device_id)
        ticket = self._ticket(call, who)
        job, device = await asyncio.gather(
            self.documents.job(ticket.user_id, ticket.job_id),
            self.documents.device(ticket.user_id, ticket.device_id),
        )
        who = replace(who, user_id=ticket.user_id, targets={"jobid": ticket.job_id})
        if job is None:
            raise Refused(404, "There is no such job any more; drop the download.", who)
        if device is None or not await self._owns(device, job):
            sentence = "The device left the account that ordered this; drop the download."
            raise Refused(403, sentence, who)
        _check_proof(call, device.device_key, who)
        who = replace(who, proven=True)
        _check_job(call, ticket, job, who)
        blob = Blob(job.filepath, job.blob_etag, job.size)
        return await self._checked(File(blob, job.md5, job.sha256, who, job.id))

    async def content(self, file: File, part: Part) -> AsyncIterator[memoryview]:
        """A part of a file in small pieces. Raises Refused where the blob was changed meanwhile,
        Forbidden where its job ended, and Unavailable."""
        time = asyncio.get_running_loop().time
        looked_at = time()  # whoever was given the file has just looked
        try:
            async for piece in self.chunks.stream(file.blob, part):
                if file.job_id and time() - looked_at >= self.look_seconds:
                    looked_at = time()
                    await self._check_open(file)
                yield piece
        except (Tampered, NotFound) as error:
            raise _refused_blob(error, file) from None

    async def _check_open(self, file: File) -> None:
        try:
            job = await self.documents.job(file.concerned.user_id, file.job_id)
        except Unavailable:
            return  # nobody knows, and most are right: the next look will tell
        if job is None or job.state in ENDS:
            raise Forbidden("The job ended while its file was being sent.")

    async def _owns(self, device: DeviceDocument, job: Job) -> bool:
        """Whether the pairing that the job was ordered in is in force."""
        if device.paired_at != job.paired_at:
            return False
        if device.phase == "paired":  # a pairing that ends is marked here first
            return True
        pairing = await self.documents.pairing(device.device_id)
        return pairing is not None and pairing.started_at == job.paired_at

    def _ticket(self, call: TicketCall, who: Concerned) -> tickets.Ticket:
        if not call.ticket:
            sentence = "The ticket is missing: use the whole url of the order, with its query."
            raise Refused(403, sentence, who)
        try:
            ticket = tickets.read(self.ticket_key, call.ticket)
        except tickets.BadTicket:
            sentence = "This is no ticket of this platform: use the url of the order as it is."
            raise Refused(403, sentence, who) from None
        if (ticket.device_id, ticket.job_id) != (call.device_id, call.job_id):
            sentence = "This ticket is of another device or job: use the url of the order as it is."
            raise Refused(403, sentence, who)
        return ticket

    async def _artifact(self, filepath: str) -> AppVersionDocument | FirmwareDocument | None:
        if app := _APP.fullmatch(filepath):
            return await self.documents.app_version(*app.groups())
        if _FIRMWARE.fullmatch(filepath):
            return await self.firmware.ask(filepath)
        return None

    async def _checked(self, file: File) -> File:
        try:
            await self.check.ask(file.blob)
        except (Tampered, NotFound) as error:
            raise _refused_blob(error, file) from None
        return file


def _refused_blob(error: Tampered | NotFound, file: File) -> Refused:
    """Of firmware, that is the platform's concern."""
    who = file.concerned
    if isinstance(error, Tampered):
        who = replace(who, operation=TAMPERED)
    if _FIRMWARE.fullmatch(file.blob.name):
        who = replace(who, user_id=PLATFORM)
    return Refused(error.status, str(error), who)


def _concerned(who: Concerned, found: AppVersionDocument | FirmwareDocument) -> Concerned:
    if isinstance(found, AppVersionDocument):
        targets = {"appid": found.app_id, "appversionid": found.id}
        return replace(who, user_id=found.user_id, targets=targets)
    return replace(who, user_id=PLATFORM, targets={"firmwareid": found.id})


def _check_proof(call: TicketCall, device_key: str, who: Concerned) -> None:
    path = tickets.path_of(call.device_id, call.job_id)
    try:
        proof.check(
            call.proof,
            device_key,
            method=call.method,
            path=path,
            ticket=call.ticket,
            now=call.now,
        )
    except proof.BadProof as bad:
        raise Refused(403, str(bad), who) from None


def _check_job(call: TicketCall, ticket: tickets.Ticket, job: Job, who: Concerned) -> None:
    if job.state in ENDS:
        sentence = f"The job has ended: {job.state.replace('_', ' ')}. Drop the download."
        raise Refused(403, sentence, who)
    if job.sha256 != ticket.sha256:
        sentence = "The job brings another file than this ticket's; use the url of the order."
        raise Refused(403, sentence, who)
    if ticket.expires_at <= call.now:
        sentence = "The ticket has expired; a connected device gets an order with a new url."
        raise Refused(403, sentence, who)
