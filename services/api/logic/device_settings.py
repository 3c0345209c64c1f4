"""What a device is told and what it reports: settings, reported properties, the reboot.

They stay in IoT Hub's twin. Its settings are the present pairing's wherever its order to wipe
is (`services.api.logic.twin_tags`), and are written under the ETag with which that was seen: so
nobody reads a former owner's, and a former owner writes none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.api.logic.devices import get_device_in_force
from services.api.logic.settings_patch import check_patch, check_settings, merged
from services.api.logic.twin_tags import wipe_order
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from shared.errors import Conflict, NotFound
from shared.iothub import DeviceTwin, IotHub
from shared.iothub_refusals import TwinChanged
from shared.schemas.documents import DeviceDocument
from shared.schemas.messages import ReportedProperties

ATTEMPTS = 10  # under the twin's ETag, before giving up
SETTINGS = "settings"
METADATA = "$metadata"

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Twins:
    """Who owns a device, and its twin."""

    devices: Devices
    gateways: Gateways
    hub: IotHub


@dataclass(frozen=True)
class Settings:
    """What the owner configures, and its version."""

    values: Json
    tag: str


@dataclass(frozen=True)
class Reported:
    """A property as the gateway reported it last."""

    name: str
    value: object
    at: datetime | None  # by the hub's clock


async def read_settings(twins: Twins, user_id: str, device_id: str) -> Settings:
    """Raises NotFound, Conflict (the hub lost the gateway's identity) and Unavailable."""
    twin, document = await _twin(twins, user_id, device_id)
    return _settings(_own(twin, document) or {})


async def change_settings(
    twins: Twins, user_id: str, device_id: str, patch: Json, if_match: str | None
) -> Settings:
    """The settings after a merge patch (RFC 7396), which the gateway gets at once or at its
    next connection.

    Raises InvalidRequest, NotFound, Changed, Conflict and Unavailable.
    """
    check_patch(patch)
    for _ in range(ATTEMPTS):
        twin, document = await _twin(twins, user_id, device_id)
        own = _own(twin, document)
        if own is None:
            raise Conflict("The pairing of this device is not complete; pair it again first.")
        require_unchanged(if_match, _settings(own).tag)
        wanted = _settings(merged(own, patch))
        check_settings(wanted.values)
        if wanted.tag == _settings(own).tag:
            return wanted
        try:
            await twins.hub.patch_twin(device_id, desired={SETTINGS: dict(patch)}, etag=twin.etag)
        except TwinChanged:
            continue
        except NotFound:
            raise _no_identity() from None
        return wanted
    raise Conflict("The device is being changed by others at the same time; try again.")


async def read_properties(twins: Twins, user_id: str, device_id: str) -> list[Reported]:
    """What the gateway reported, by name.

    Of what it is and runs all; of the rest only what it reported in the present pairing. Raises
    as `read_settings` does.
    """
    twin, document = await _twin(twins, user_id, device_id)
    times = twin.reported.get(METADATA, {})
    found = (
        Reported(name, value, _updated(times.get(name)))
        for name, value in sorted(twin.reported.items())
        if not name.startswith("$")
    )
    return [
        each
        for each in found
        if each.name in ReportedProperties.model_fields
        or (each.at is not None and each.at >= document.paired_at)
    ]


async def reboot(twins: Twins, user_id: str, device_id: str) -> None:
    """Reset the gateway, now.

    Raises NotFound, Conflict (it is offline, or the hub lost its identity) and Unavailable.
    """
    await get_device_in_force(twins.devices, twins.gateways, user_id, device_id)
    try:
        await twins.hub.invoke_method(device_id, "reboot", {})
    except NotFound:
        raise _no_identity() from None


async def _twin(twins: Twins, user_id: str, device_id: str) -> tuple[DeviceTwin, DeviceDocument]:
    """The twin, read before the pairing was seen in force."""
    try:
        twin = await twins.hub.get_twin(device_id)
    except NotFound:
        await get_device_in_force(twins.devices, twins.gateways, user_id, device_id)
        raise _no_identity() from None
    document = await get_device_in_force(twins.devices, twins.gateways, user_id, device_id)
    return twin, document


def _own(twin: DeviceTwin, document: DeviceDocument) -> Json | None:
    """The settings of the present pairing; None where the twin does not know of it yet."""
    if twin.desired.get("wipe") != wipe_order(document.paired_at):
        return None
    settings = twin.desired.get(SETTINGS)
    return settings if isinstance(settings, dict) else {}


def _settings(values: Json) -> Settings:
    return Settings(values, tag_of(json.dumps(values, sort_keys=True)))


def _updated(metadata: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(metadata["$lastUpdated"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _no_identity() -> Conflict:
    return Conflict(
        "IoT Hub no longer knows this gateway; ask the platform's operator to register it."
    )
