"""Container `gateways`, and when each change of whose a gateway is was known to be written."""

import time
from dataclasses import dataclass, field

from services.api.store.gateways import Gateways
from shared.schemas.documents import Gateway


@dataclass(frozen=True)
class WatchedGateways(Gateways):
    """Notes when each write of a gateway's document was acknowledged, in Unix seconds.

    A document names the moment at which a pairing began or ended, and is written after it. What
    the hub takes in between may be judged by either version of the document.
    """

    written: list[float] = field(default_factory=list)

    async def replace(self, gateway: Gateway, etag: str) -> bool:
        done = await super().replace(gateway, etag)
        if done:
            self.written.append(time.time())
        return done
