"""Where to call and as whom: profiles in the user's configuration folder.

The file holds keys, so it is readable by its owner alone and replaced in one step.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from mymote.failures import Failure, usage


@dataclass(frozen=True)
class Place:
    """An installation of MyMote and whoever calls it, by API key or by a session's token."""

    url: str
    user_id: str
    api_key: str = ""
    token: str = ""
    username: str = ""  # of the person whose session it is
    ca_file: str = ""  # of a certificate authority that the system does not know
    operator_key: str = ""  # of the platform's operator; never kept

    @property
    def headers(self) -> dict[str, str]:
        """What tells the api who calls; the path has `-` in the key's place."""
        if self.operator_key:
            return {"X-Operator-Key": self.operator_key}
        if self.api_key:
            return {"X-API-Key": self.api_key}
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass
class Profiles:
    """All profiles, and the name of the one in use."""

    current: str = ""
    places: dict[str, Place] = field(default_factory=dict)


def path() -> Path:
    """Of the file; `MYMOTE_CONFIG_DIR` moves it."""
    folder = os.environ.get("MYMOTE_CONFIG_DIR") or typer.get_app_dir("mymote")
    return Path(folder, "profiles.json")


def load() -> Profiles:
    """What is kept; nothing where there is no file. Raises Failure."""
    try:
        kept: Any = json.loads(path().read_text("utf-8"))
        places = {name: Place(**values) for name, values in kept["profiles"].items()}
        return Profiles(str(kept["current"]), places)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise usage(
            f"{path()} cannot be read. Delete it and sign in again with `mymote login`."
        ) from None


def save(profiles: Profiles) -> None:
    """Keep them, in one step. Raises Failure."""
    target = path()
    kept = {
        "current": profiles.current,
        "profiles": {name: asdict(place) for name, place in profiles.places.items()},
    }
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent)  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=2)
            file.write("\n")
        Path(name).replace(target)
    except OSError as error:
        raise Failure(f"{target} cannot be written ({error.strerror}).") from None


def chosen(name: str) -> Place:
    """The place to call: the named profile; or else the environment; or else the current one.

    Raises Failure.
    """
    if not name and (place := from_environment()):
        return place
    profiles = load()
    wanted = name or os.environ.get("MYMOTE_PROFILE") or profiles.current
    if not wanted:
        raise usage(
            "Nobody is signed in. Run `mymote login`, or set MYMOTE_URL, MYMOTE_USER_ID and "
            "MYMOTE_API_KEY."
        )
    if wanted not in profiles.places:
        known = ", ".join(profiles.places) or "none"
        raise usage(f"There is no profile '{wanted}' (known: {known}). `mymote login` makes one.")
    return profiles.places[wanted]


def from_environment() -> Place | None:
    """From MYMOTE_URL, MYMOTE_USER_ID and MYMOTE_API_KEY: all three, or none of them.

    Some of them beside a profile would send its key to another address. Raises Failure.
    """
    names = ("MYMOTE_URL", "MYMOTE_USER_ID", "MYMOTE_API_KEY")
    values = {name: os.environ.get(name, "").strip() for name in names}
    missing = [name for name, value in values.items() if not value]
    if len(missing) == len(names):
        return None
    if missing:
        raise usage(f"{' and '.join(missing)} is not set; set all of {', '.join(names)}, or none.")
    return Place(
        url=checked_url(values["MYMOTE_URL"]),
        user_id=values["MYMOTE_USER_ID"],
        api_key=values["MYMOTE_API_KEY"],
        ca_file=os.environ.get("MYMOTE_CA_FILE", ""),
    )


def checked_url(text: str) -> str:
    """The installation's address. Raises Failure."""
    url = text.strip()
    parts = urlsplit((url if "://" in url else f"https://{url}").rstrip("/"))
    whole = not (parts.username or parts.query or parts.fragment or " " in url)
    try:
        whole = whole and parts.port != 0
    except ValueError:
        whole = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not whole:
        raise usage("The URL is that of the installation, such as https://mymote.example.com.")
    return parts.geturl()
