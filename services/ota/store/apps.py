"""Container `apps`: apps, their versions and the claims of their numbers, by account.

Everything that adds or removes a version changes its app, too, under the app's ETag: so of two
that do so at once, one reads again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from services.ota.documents import AppClaim, claim_id
from services.ota.store import batches
from shared import point
from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.artifacts import AppDocument, AppVersionDocument

REMOVED_AT_ONCE = 45  # versions in one transaction: each has a claim, and the app comes on top


class Added(Enum):
    """What became of a version that was to be added."""

    DONE = auto()
    EXISTS = auto()  # its number is taken
    APP_CHANGED = auto()


@dataclass(frozen=True)
class Held:
    """An app as it was read, and its ETag."""

    app: AppDocument
    etag: str


@dataclass(frozen=True)
class HeldVersion:
    """A version as it was read, and its ETag."""

    version: AppVersionDocument
    etag: str


@dataclass(frozen=True)
class Apps:
    """Every call stays within one partition, and raises Unavailable."""

    container: ContainerProxy

    async def app(self, user_id: str, app_id: str) -> Held | None:
        """A point read; None also where the id is that of something else."""
        item = await self._read(user_id, app_id)
        if item is None or item["kind"] != "app":
            return None
        return Held(AppDocument.model_validate(item), item["_etag"])

    async def version(self, user_id: str, version_id: str) -> HeldVersion | None:
        """A point read; None also where the id is that of something else."""
        item = await self._read(user_id, version_id)
        if item is None or item["kind"] != "version":
            return None
        return HeldVersion(AppVersionDocument.model_validate(item), item["_etag"])

    async def claimed(self, user_id: str, app_id: str, version: str) -> str:
        """The id of the version that has this number; "" where none has."""
        found = await point.read(self.container, AppClaim, claim_id(app_id, version), user_id)
        return found[0].artifact_id if found else ""

    async def versions(self, user_id: str, app_id: str) -> list[HeldVersion]:
        """All of an app, newest first."""
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                "SELECT * FROM c WHERE c.kind = 'version' AND c.app_id = @app",
                parameters=[{"name": "@app", "value": app_id}],
                partition_key=user_id,
                max_item_count=LIST_PAGE,
            )
            versions = [
                HeldVersion(AppVersionDocument.model_validate(item), item["_etag"])
                async for item in found
            ]
        return sorted(versions, key=lambda each: each.version.created_at, reverse=True)

    async def create(self, app: AppDocument) -> bool:
        """False where its id is taken."""
        return await point.create(self.container, app) is not None

    async def replace(self, app: AppDocument, etag: str) -> bool:
        """False where it changed or went since it was read."""
        return await point.replace(self.container, app, etag) is not None

    async def replace_version(self, version: AppVersionDocument, etag: str) -> str | None:
        """Its new ETag; None where it changed or went since it was read."""
        return await point.replace(self.container, version, etag)

    async def add(self, held: Held, version: AppVersionDocument) -> Added:
        """A version, its claim, and that it is the app's last one, together."""
        claim = AppClaim(
            id=claim_id(version.app_id, version.version),
            user_id=version.user_id,
            artifact_id=version.id,
        )
        app = held.app.model_copy(update={"last_app_version_id": version.id})
        refused = await batches.run(
            self.container,
            version.user_id,
            [
                batches.create(claim.model_dump(mode="json")),
                batches.create(version.model_dump(mode="json")),
                batches.replace(app.model_dump(mode="json"), held.etag),
            ],
        )
        if refused is None:
            return Added.DONE
        return Added.EXISTS if refused < 2 else Added.APP_CHANGED

    async def remove(self, held: Held, versions: Sequence[HeldVersion], last: str) -> bool:
        """Versions with their claims; `last` becomes the app's last one.

        False where the app or one of them changed or went. At most `REMOVED_AT_ONCE`.
        """
        app = held.app.model_copy(update={"last_app_version_id": last})
        body = app.model_dump(mode="json")
        return await self._remove(held, versions, batches.replace(body, held.etag))

    async def remove_all(self, held: Held, versions: Sequence[HeldVersion]) -> bool:
        """The app, with its last versions. False as with `remove`."""
        return await self._remove(held, versions, batches.delete(held.app.id, held.etag))

    async def _remove(
        self, held: Held, versions: Sequence[HeldVersion], of_app: batches.Operation
    ) -> bool:
        operations = [of_app]
        for each in versions:
            operations.append(batches.delete(each.version.id, each.etag))
            operations.append(batches.delete(claim_id(held.app.id, each.version.version)))
        return await batches.run(self.container, held.app.user_id, operations) is None

    async def _read(self, user_id: str, item_id: str) -> dict[str, str] | None:
        try:
            async with cosmos_call():
                return dict(await self.container.read_item(item_id, partition_key=user_id))
        except CosmosResourceNotFoundError:
            return None
