"""What pairing, unpairing and editing share: their stores, and the gateway's document, which is
the truth about whose it is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.logic import intervals
from services.api.store.accounts import Accounts
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.groups import Groups
from services.api.store.user_messages import UserMessages
from shared.errors import Conflict, NotFound
from shared.iothub import IotHub
from shared.schemas.documents import DeviceDocument, Gateway

ATTEMPTS = 10  # under an ETag, before giving up


def utc_now() -> datetime:
    """The clock of pairings."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Stores:
    """What pairing changes."""

    accounts: Accounts
    groups: Groups
    gateways: Gateways
    devices: Devices
    hub: IotHub
    user_messages: UserMessages
    clock: Callable[[], datetime] = utc_now


class EndedMeanwhile(Conflict):
    """The pairing that is being made or changed was ended by somebody else."""


async def read_gateway(gateways: Gateways, device_id: str) -> tuple[Gateway, str]:
    """The gateway and the ETag that `replace` wants. Raises NotFound."""
    found = await gateways.get(device_id)
    if found is None:
        raise NotFound("The gateway is no longer in the inventory.")
    return found


def require_in_force(gateway: Gateway, document: DeviceDocument) -> None:
    """Raises EndedMeanwhile where the device's entry is of a pairing that has ended."""
    if not intervals.is_in_force(gateway, document.user_id, document.paired_at):
        raise ended_meanwhile()


def ended_meanwhile() -> EndedMeanwhile:
    """What is said of a pairing that somebody else ended."""
    return EndedMeanwhile("The gateway was unpaired in the meantime.")


def contended() -> Conflict:
    """What is said after ATTEMPTS."""
    return Conflict("The gateway is being changed by others at the same time; try again.")
