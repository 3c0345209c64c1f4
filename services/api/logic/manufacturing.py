"""Manufacturing gateways: a device key, an identity in the hub, an entry in the inventory."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.logic.ids import device_id_of
from services.api.store.gateways import Gateways
from shared.errors import Conflict
from shared.iothub import DeviceKeys, IotHub
from shared.schemas.documents import Gateway

KEY_BYTES = 32
GATEWAY_TYPE = "X400"


@dataclass(frozen=True)
class Manufactured:
    """A gateway with its secrets, which are shown here and nowhere else."""

    device_id: str
    device_key: str
    device_connection_string: str


async def manufacture(gateways: Gateways, hub: IotHub, device_key: str) -> Manufactured:
    """Register a gateway; calling again with the same device key completes or repeats it.

    Raises InvalidRequest for what is no device key, and Unavailable.
    """
    device_id = device_id_of(device_key)
    keys = DeviceKeys(_symmetric_key(), _symmetric_key())
    try:
        await hub.create_device(device_id, keys)
    except Conflict:
        keys = await hub.device_keys(device_id)
    await gateways.create(
        Gateway(
            id=device_id,
            device_id=device_id,
            type=GATEWAY_TYPE,
            manufactured_at=datetime.now(UTC),
        )
    )
    connection_string = hub.device_connection_string(device_id, keys)
    return Manufactured(device_id, device_key, connection_string)


def _symmetric_key() -> str:
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()
