"""Container `jobs`: whether an artifact is on its way to a device."""

from collections.abc import Sequence
from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.jobs import ENDS, Job


@dataclass(frozen=True)
class InUse:
    """Raises Unavailable."""

    container: ContainerProxy

    async def open_job(self, artifact_ids: Sequence[str], user_id: str = "") -> Job | None:
        """Some job that has not ended, of one of these artifacts.

        `user_id`: in this account; without it all are asked.
        """
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                "SELECT * FROM c WHERE c.doc = 'job' AND ARRAY_CONTAINS(@artifacts, c.artifact_id) "
                "AND NOT ARRAY_CONTAINS(@ends, c.state)",
                parameters=[
                    {"name": "@artifacts", "value": list(artifact_ids)},
                    {"name": "@ends", "value": sorted(ENDS)},
                ],
                partition_key=user_id or None,
                max_item_count=1,
            )
            async for item in found:
                return Job.model_validate(item)
        return None
