"""Apps and their versions in requests and replies, beyond the contract's entities."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.entities.page import Page
from shared.schemas.contract import App, AppVersion


class AppPage(Page[App]):
    """Some apps, by name."""


class AppVersionPage(Page[AppVersion]):
    """Some versions of an app, newest first."""


class NamedApp(BaseModel):
    """An app as people describe it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Pump control"}]}
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S")] = Field(
        description="1 to 100 characters, for people; two apps may have the same one."
    )
