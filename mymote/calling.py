"""What each command begins with: whom to call, and as whom."""

from typing import TYPE_CHECKING

import typer

from mymote import profiles

if TYPE_CHECKING:
    from mymote.api import Api


def calling(context: typer.Context) -> "Api":
    """The api of the chosen profile, to be used in a `with`. Raises Failure."""
    return api_of(profiles.chosen(profile_of(context)))


def api_of(place: profiles.Place, *, hurried: bool = False) -> "Api":
    """The api at a place."""
    from mymote.api import Api  # noqa: PLC0415 - its HTTP client takes a fifth of a second

    return Api(place, hurried=hurried)


def profile_of(context: typer.Context) -> str:
    """What stands before the command: `mymote --profile NAME …`."""
    return str(context.find_root().params.get("profile") or "")
