"""Completion of ids and names in the shell: quick, and silent where the api does not answer."""

from typing import Any

import typer

from mymote import profiles
from mymote.calling import api_of, profile_of
from mymote.failures import Failure

MOST = 50

Offered = list[tuple[str, str]]  # what completes, and what it is


def devices(context: typer.Context, incomplete: str) -> Offered:
    """Ids of devices that begin so, with their names; or names that begin so, with their ids."""
    found = _ask(context, "listDevices", {"search": incomplete, "limit": MOST})
    return _begun(
        [(one["device"]["device_id"], one["device"]["name"]) for one in found], incomplete
    )


def groups(context: typer.Context, incomplete: str) -> Offered:
    """As `devices`."""
    found = _ask(context, "listGroups", {})
    return _begun([(one["id"], one["name"]) for one in found], incomplete)


def apps(context: typer.Context, incomplete: str) -> Offered:
    """As `devices`."""
    found = _ask(context, "listApps", {"limit": MOST})
    return _begun([(one["id"], one["name"]) for one in found], incomplete)


def open_jobs(context: typer.Context, incomplete: str) -> Offered:
    """As `devices`, of jobs that have not had their end."""
    found = _ask(context, "listJobs", {"state": "open", "limit": MOST})
    return _begun([(one["id"], f"{one['name']} {one['version']}") for one in found], incomplete)


def api_keys(context: typer.Context, incomplete: str) -> Offered:
    """As `devices`."""
    found = _ask(context, "listKeys", {})
    return _begun([(one["id"], one["name"]) for one in found], incomplete)


def profile_names(incomplete: str) -> list[str]:
    """Profiles that `mymote login` has made."""
    try:
        return [name for name in profiles.load().places if name.startswith(incomplete)]
    except Failure:
        return []


def _begun(known: Offered, incomplete: str) -> Offered:
    ids = [(key, name) for key, name in known if key.startswith(incomplete)]
    names = [(name, key) for key, name in known if incomplete and name.startswith(incomplete)]
    return (ids + names)[:MOST]


def _ask(context: typer.Context, operation: str, query: dict[str, object]) -> list[dict[str, Any]]:
    try:
        with api_of(profiles.chosen(profile_of(context)), hurried=True) as api:
            found = api.call(operation, query=query)
    except Failure:
        return []
    return list(found["items"] if isinstance(found, dict) else found)
