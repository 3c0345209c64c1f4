"""Puts ingest's web application together: health and metrics."""

from starlette.applications import Starlette

from services.ingest.resources import Resources
from shared.database import STREAM
from shared.health import Check, NotReady, health_routes


def create_app() -> Starlette:
    """Answers from before `app.state.resources` is set."""

    def checks() -> dict[str, Check]:
        resources: Resources | None = app.state.resources
        if resources is None:
            return {"start": _not_yet}
        return {
            "cosmos": resources.database.get_container_client(STREAM.name).read,
            "eventhub": resources.stream.get_eventhub_properties,
            "consumer": resources.consumer.check,
        }

    app = Starlette(routes=health_routes(checks))
    app.state.resources = None
    return app


async def _not_yet() -> None:
    raise NotReady("it waits for Azure")
