"""What IoT Hub's twin says of a device's state."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from shared.iothub import DeviceTwin
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import DeviceDocument
from shared.schemas.messages import ReportedProperties

log = logging.getLogger(__name__)


def with_state_of(twin: DeviceTwin, document: DeviceDocument) -> DeviceDocument:
    """The document with the twin's status and reported properties; the rest stays."""
    connected = twin.status == ConnectionState.CONNECTED
    status = ConnectionState.CONNECTED if connected else ConnectionState.DISCONNECTED
    reported = _reported(twin.reported).model_dump(exclude_none=True)
    reported["type"] = reported.get("type") or document.type
    return document.model_copy(update=reported | {"status": status})


def _reported(properties: Mapping[str, Any]) -> ReportedProperties:
    """What the gateway reported of itself; nothing where it reported nonsense."""
    try:
        return ReportedProperties.model_validate(properties)
    except ValidationError:
        log.warning("a twin's reported properties cannot be read")
        return ReportedProperties()
