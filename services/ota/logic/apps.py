"""Apps and their versions: making, renaming, uploading, deleting them."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from services.ota.documents import Upload
from services.ota.logic import names, uploads
from services.ota.logic.deletion import being_sent
from services.ota.logic.signing import Signable, Signer
from services.ota.logic.uploads import Incoming, Received, Stores
from services.ota.store.apps import REMOVED_AT_ONCE, Added, Held, HeldVersion
from shared.errors import Changed, Conflict, NotFound
from shared.schemas.artifacts import AppDocument, AppVersionDocument

ATTEMPTS = 10
PAUSE_SECONDS = 0.05  # at most, before the next attempt
AT_ONCE = 8  # calls, where an app has many versions

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class NewVersion:
    """What is said of a binary."""

    user_id: str
    app_id: str
    version: str
    name: str
    note: str
    id: str = field(default_factory=lambda: f"v{secrets.token_hex(8)}")

    @property
    def filepath(self) -> str:
        """The blob's name."""
        return f"apps/{self.user_id}/{self.id}.bin"


async def create(stores: Stores, user_id: str, app_id: str, name: str) -> AppDocument:
    """Asked again with the same id, the app that was made then.

    Raises InvalidRequest, Conflict, Unavailable.
    """
    names.check_user_id(user_id)
    names.check_id(app_id)
    names.check_app_name(name)
    app = AppDocument(id=app_id, user_id=user_id, name=name, created_at=datetime.now(UTC))
    if await stores.apps.create(app):
        return app
    held = await stores.apps.app(user_id, app_id)
    if held is None:
        raise Conflict("This id is that of something else; choose another one.")
    return held.app


async def rename(stores: Stores, user_id: str, app_id: str, name: str, etag: str) -> AppDocument:
    """Raises InvalidRequest, NotFound, Changed, Unavailable."""
    names.check_app_name(name)
    held = await _get(stores, user_id, app_id)
    app = held.app.model_copy(update={"name": name})
    if held.etag != etag or not await stores.apps.replace(app, etag):
        raise Changed("This app changed in the meantime; read it again.")
    return app


async def upload(
    stores: Stores, signer: Signer, new: NewVersion, incoming: Incoming
) -> AppVersionDocument:
    """Keep a new version; nothing is kept of what is refused.

    Raises InvalidRequest, TooLarge, NotFound, Conflict, Unavailable, and what reading the binary
    raises.
    """
    names.check_version(new.version)
    names.check_file_name(new.name)
    names.check_note(new.note)
    held = await _get(stores, new.user_id, new.app_id)
    if await stores.apps.claimed(new.user_id, new.app_id, new.version):
        raise _exists(new)

    async def keep(received: Received) -> AppVersionDocument:
        version = _document(signer, held.app.name, new, received)
        await _add(stores, version)
        return version

    intent = Upload(id=new.id, kind="app", partition=new.user_id, filepath=new.filepath)
    return await uploads.upload(stores, intent, incoming, keep)


async def delete_version(stores: Stores, user_id: str, app_id: str, version_id: str) -> None:
    """For ever. Raises NotFound, Conflict where it is being sent to a device, Unavailable."""
    for _ in range(ATTEMPTS):
        held = await _get(stores, user_id, app_id)
        versions = await stores.apps.versions(user_id, app_id)
        gone = [each for each in versions if each.version.id == version_id]
        if not gone:
            raise NotFound("This app has no version of this id.")
        withdrawn = await _withdrawn(stores, gone)
        left = [each.version.id for each in versions if each.version.id != version_id]
        last = left[0] if left else ""
        if withdrawn and await stores.apps.remove(held, withdrawn, last):
            await _forget(stores, withdrawn)
            return
        await _pause()
    raise _busy()


async def delete(stores: Stores, user_id: str, app_id: str) -> None:
    """With all its versions. Raises NotFound, Conflict where one of them is being sent to a
    device, Unavailable. Asked again, it completes what was interrupted."""
    for _ in range(ATTEMPTS):
        held = await _get(stores, user_id, app_id)
        versions = await stores.apps.versions(user_id, app_id)
        withdrawn = await _withdrawn(stores, versions)
        if withdrawn is not None and await _remove_all(stores, held, withdrawn):
            return
        await _pause()
    raise _busy()


async def _remove_all(stores: Stores, held: Held, versions: Sequence[HeldVersion]) -> bool:
    """False where something changed meanwhile; some may be gone then."""
    last = versions[:REMOVED_AT_ONCE]
    for start in range(len(last), len(versions), REMOVED_AT_ONCE):
        some = versions[start : start + REMOVED_AT_ONCE]
        if not await stores.apps.remove(held, some, held.app.last_app_version_id):
            return False
        await _forget(stores, some)
        found = await stores.apps.app(held.app.user_id, held.app.id)
        if found is None:
            return False
        held = found
    if not await stores.apps.remove_all(held, last):
        return False
    await _forget(stores, last)
    return True


async def _withdrawn(stores: Stores, versions: Sequence[HeldVersion]) -> list[HeldVersion] | None:
    """These, so that no order takes them any more; None where one changed meanwhile.

    Raises Conflict where an order has one already; then orders take them all again.
    """
    done = await _each(partial(_mark, stores), versions)
    marked = [each for each in done if each is not None]
    if len(marked) < len(versions):
        return None
    held = [each.held for each in marked]
    if not held:
        return held
    ids = [each.version.id for each in held]
    job = await stores.in_use.open_job(ids, held[0].version.user_id)
    if job is None:
        return held
    await _each(partial(_unmark, stores), marked)
    raise being_sent(job)


@dataclass(frozen=True)
class _Marked:
    """A version that no order takes any more, and the ETag of the intent to delete it."""

    held: HeldVersion
    begun: str


async def _mark(stores: Stores, held: HeldVersion) -> _Marked | None:
    """None where it changed meanwhile."""
    begun = await stores.uploads.begin(_intent(held.version))
    version = held.version.model_copy(update={"deleting": True})
    etag = await stores.apps.replace_version(version, held.etag)
    return _Marked(HeldVersion(version, etag), begun) if etag is not None else None


async def _unmark(stores: Stores, marked: _Marked) -> None:
    version = marked.held.version.model_copy(update={"deleting": False})
    if await stores.apps.replace_version(version, marked.held.etag) is not None:
        await stores.uploads.unchanged_done(version.id, marked.begun)


async def _forget(stores: Stores, versions: Sequence[HeldVersion]) -> None:
    intents = [_intent(each.version) for each in versions]
    await _each(partial(uploads.forget, stores), intents)


async def _each(do: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with limit:
            return await do(item)

    return await asyncio.gather(*(one(each) for each in items))


async def _add(stores: Stores, version: AppVersionDocument) -> None:
    for _ in range(ATTEMPTS):
        held = await _get(stores, version.user_id, version.app_id)
        added = await uploads.settled(partial(stores.apps.add, held, version))
        if added is Added.DONE:
            return
        if added is Added.EXISTS:
            # An attempt whose reply was lost may have been this very one.
            claimed = await stores.apps.claimed(version.user_id, version.app_id, version.version)
            if claimed == version.id:
                return
            raise _exists(version)
        await _pause()
    raise _busy()


def _document(
    signer: Signer, app_name: str, new: NewVersion, received: Received
) -> AppVersionDocument:
    signable = Signable("app", app_name, new.version, received.size, received.sha256)
    return AppVersionDocument(
        id=new.id,
        user_id=new.user_id,
        app_id=new.app_id,
        app_name=app_name,
        name=new.name,
        version=new.version,
        note=new.note,
        created_at=datetime.now(UTC),
        filepath=new.filepath,
        download_key=secrets.token_hex(32),
        sig_md5=received.md5,
        sha256=received.sha256,
        signature=signer.sign(signable),
        size=received.size,
        blob_etag=received.blob_etag,
    )


def _intent(version: AppVersionDocument) -> Upload:
    return Upload(
        id=version.id,
        kind="app",
        partition=version.user_id,
        filepath=version.filepath,
        deletion=True,
    )


async def _get(stores: Stores, user_id: str, app_id: str) -> Held:
    held = await stores.apps.app(user_id, app_id)
    if held is None:
        raise NotFound("This account has no app of this id; it may just have been deleted.")
    return held


async def _pause() -> None:
    await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311 - no secret


def _exists(new: NewVersion | AppVersionDocument) -> Conflict:
    return Conflict(
        f"This app has the version {new.version} already, and a version never changes; give this "
        "one another number."
    )


def _busy() -> Conflict:
    return Conflict("This app is being changed by others at the same time; try again.")
