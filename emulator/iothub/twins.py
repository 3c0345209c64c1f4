"""Device twins in the store: tags, desired and reported properties, versions, ETags."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from emulator.iothub import clock, twin_document
from emulator.iothub.errors import device_not_found, invalid
from emulator.iothub.identity import Identity
from emulator.iothub.registry import check_etag
from emulator.iothub.twin_document import MAX_PROPERTIES_BYTES, MAX_TAGS_BYTES, Json
from emulator.store import Store


@dataclass(frozen=True)
class Section:
    """Desired or reported properties with their metadata and version."""

    values: Json
    metadata: Json
    version: int

    def json(self) -> Json:
        return {**self.values, "$metadata": self.metadata, "$version": self.version}


@dataclass(frozen=True)
class Twin:
    """A twin. `revision` counts what services changed (the ETag), `version` every change."""

    version: int
    revision: int
    tags: Json
    desired: Section
    reported: Section

    @property
    def etag(self) -> str:
        return base64.b64encode(self.revision.to_bytes(8, "big")).decode()

    def properties(self) -> Json:
        return {"desired": self.desired.json(), "reported": self.reported.json()}

    def device_view(self) -> Json:
        """What the device itself reads: no tags, no metadata."""
        return {
            "desired": {**self.desired.values, "$version": self.desired.version},
            "reported": {**self.reported.values, "$version": self.reported.version},
        }


@dataclass(frozen=True)
class TwinChange:
    """What a change did: the twin after it, the event's body, the patch for the device."""

    twin: Twin
    event: Json
    desired_patch: Json | None = None


@dataclass(frozen=True)
class TwinRequest:
    """What a service sends: the sections it does not name stay as they are."""

    tags: Json | None
    desired: Json | None


def parse_twin(document: object) -> TwinRequest:
    """Read the body of PATCH or PUT /twins/{id}. Raises HubError 400."""
    if not isinstance(document, dict):
        raise invalid("The body is a JSON object")
    properties = document.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise invalid("properties is a JSON object")
    tags, desired = document.get("tags"), properties.get("desired")
    return TwinRequest(
        None if tags is None else twin_document.parse_patch(tags, "tags"),
        None if desired is None else twin_document.parse_patch(desired, "properties.desired"),
    )


class Twins:
    """Twins by device id; each lives and dies with its identity."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_twins (
                device_id TEXT PRIMARY KEY REFERENCES iothub_devices ON DELETE CASCADE,
                version INTEGER NOT NULL,
                revision INTEGER NOT NULL,
                tags TEXT NOT NULL,
                desired TEXT NOT NULL,
                desired_metadata TEXT NOT NULL,
                desired_version INTEGER NOT NULL,
                reported TEXT NOT NULL,
                reported_metadata TEXT NOT NULL,
                reported_version INTEGER NOT NULL
            ) WITHOUT ROWID"""
        )

    def get(self, device_id: str) -> Twin:
        """Raises HubError 404."""
        row = self._store.read(
            """SELECT version, revision, tags, desired, desired_metadata, desired_version,
                reported, reported_metadata, reported_version
                FROM iothub_twins WHERE device_id = ?""",
            (device_id,),
        ).fetchone()
        if row is None:
            raise device_not_found(device_id)
        desired = Section(json.loads(row[3]), json.loads(row[4]), row[5])
        reported = Section(json.loads(row[6]), json.loads(row[7]), row[8])
        return Twin(row[0], row[1], json.loads(row[2]), desired, reported)

    @staticmethod
    def new(request: TwinRequest) -> Twin:
        """The twin of a new identity. Raises HubError 400 where it is too large."""
        stamp = {"$lastUpdated": clock.iso(time.time())}
        desired = Section({}, {"$lastUpdated": clock.NEVER}, 1)
        if request.desired:
            values = twin_document.merge({}, request.desired)
            desired = Section(values, twin_document.metadata_of(values, stamp), 1)
        tags = twin_document.merge({}, request.tags or {})
        twin = Twin(2, 1, tags, desired, Section({}, {"$lastUpdated": clock.NEVER}, 1))
        _check_sizes(twin)
        return twin

    def insert(self, device_id: str, twin: Twin) -> None:
        """Keep the twin of an identity that was just created."""
        self._save(device_id, twin)

    def update(self, device_id: str, request: TwinRequest, if_match: str | None) -> TwinChange:
        """Merge tags and desired properties. Raises HubError 404, 412, 400."""
        old = self.get(device_id)
        check_etag(old.etag, if_match)
        twin = replace(old, version=old.version + 1, revision=old.revision + 1)
        event: Json = {"version": twin.version}
        if request.tags is not None:
            twin = replace(twin, tags=twin_document.merge(old.tags, request.tags))
            event["tags"] = request.tags
        if request.desired is not None:
            desired, change = _merge_section(old.desired, request.desired, numbered=True)
            twin = replace(twin, desired=desired)
            event["properties"] = {"desired": change}
        _check_sizes(twin)
        self._save(device_id, twin)
        return TwinChange(twin, event, request.desired)

    def replace(self, device_id: str, request: TwinRequest, if_match: str | None) -> TwinChange:
        """Put tags and desired properties in place of what is there. Raises as `update`."""
        old = self.get(device_id)
        check_etag(old.etag, if_match)
        twin = replace(old, version=old.version + 1, revision=old.revision + 1)
        if request.tags is not None:
            twin = replace(twin, tags=twin_document.merge({}, request.tags))
        desired = None
        if request.desired is not None:
            desired = twin_document.merge({}, request.desired)
            empty = Section({}, {}, old.desired.version)
            twin = replace(twin, desired=_merge_section(empty, desired, numbered=True)[0])
        _check_sizes(twin)
        self._save(device_id, twin)
        event = {
            "deviceId": device_id,
            "etag": twin.etag,
            "version": twin.version,
            "tags": twin.tags,
            "properties": twin.properties(),
        }
        return TwinChange(twin, event, desired)

    def report(self, device_id: str, patch: object) -> TwinChange:
        """Merge reported properties the device sent. Raises HubError 404, 400."""
        checked = twin_document.parse_patch(patch, "properties.reported")
        old = self.get(device_id)
        reported, change = _merge_section(old.reported, checked, numbered=False)
        twin_document.check_size(reported.values, MAX_PROPERTIES_BYTES, "properties.reported")
        twin = replace(old, version=old.version + 1, reported=reported)
        self._save(device_id, twin)
        return TwinChange(twin, {"version": twin.version, "properties": {"reported": change}})

    def _save(self, device_id: str, twin: Twin) -> None:
        self._store.write(
            "INSERT OR REPLACE INTO iothub_twins VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                device_id,
                twin.version,
                twin.revision,
                _dump(twin.tags),
                _dump(twin.desired.values),
                _dump(twin.desired.metadata),
                twin.desired.version,
                _dump(twin.reported.values),
                _dump(twin.reported.metadata),
                twin.reported.version,
            ),
        )


def twin_json(identity: Identity, twin: Twin, waiting_messages: int) -> Json:
    """The JSON form of `GET /twins/{id}`."""
    return {
        "deviceId": identity.device_id,
        "etag": twin.etag,
        "deviceEtag": identity.etag,
        "status": identity.status,
        "statusReason": identity.status_reason,
        "statusUpdateTime": clock.iso(identity.status_updated),
        "connectionState": identity.connection_state,
        "lastActivityTime": clock.iso(identity.last_activity),
        "cloudToDeviceMessageCount": waiting_messages,
        "authenticationType": "sas",
        "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
        "version": twin.version,
        "tags": twin.tags,
        "properties": twin.properties(),
        "capabilities": {"iotEdge": False},
    }


def lifecycle_json(device_id: str, twin: Twin) -> Json:
    """The body of a lifecycle event."""
    return {
        "deviceId": device_id,
        "etag": twin.etag,
        "version": twin.version,
        "properties": twin.properties(),
    }


def _merge_section(old: Section, patch: Json, *, numbered: bool) -> tuple[Section, Json]:
    """The section after the patch, and the patch as an event shows it."""
    version = old.version + 1
    stamp: Json = {"$lastUpdated": clock.iso(time.time())}
    if numbered:
        stamp["$lastUpdatedVersion"] = version
    section = Section(
        twin_document.merge(old.values, patch),
        twin_document.touch(old.metadata, patch, stamp),
        version,
    )
    metadata = twin_document.metadata_of(patch, stamp)
    return section, {**patch, "$metadata": metadata, "$version": version}


def _check_sizes(twin: Twin) -> None:
    twin_document.check_size(twin.tags, MAX_TAGS_BYTES, "tags")
    twin_document.check_size(twin.desired.values, MAX_PROPERTIES_BYTES, "properties.desired")


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
