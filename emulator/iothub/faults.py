"""What goes wrong with a real IoT Hub now and then, made to happen on purpose: for tests.

Facts: IoT Hub's routing is at least once and may repeat what it sent already ("IoT Hub message
routing", reliability: 1, 2, 1, 2, 3), and a connection may break between a publish and its PUBACK.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.iothub.events import Append


@dataclass(frozen=True)
class FaultRates:
    """How often each fault happens, from 0 (never) to 1 (every time)."""

    repeats: float = 0.0  # of events after which the device's last ones come again
    repeated_events: int = 5  # at most that many at a time
    lost_pubacks: float = 0.0  # of QoS 1 publishes: stored, and the connection cut instead
    seed: int = 0


@dataclass
class _Device:
    random: random.Random
    latest: deque[Mapping[str, Any]] = field(repr=False)


class Faults:
    """Decides by a seed and each device's own count, whatever other devices do meanwhile."""

    def __init__(self, rates: FaultRates) -> None:
        self._rates = rates
        self._devices: dict[str, _Device] = {}

    def repeating(self, append: "Append") -> "Append":
        """`append`, which now and then appends a device's last events once more.

        Repeats carry IoT Hub's own properties unchanged; only the event hub numbers them anew.
        """
        if not self._rates.repeats:
            return append

        def append_and_repeat(**event: Any) -> int:
            number = append(**event)
            device = self._device(event["partition_key"])
            device.latest.append(event)
            if device.random.random() < self._rates.repeats:
                count = device.random.randint(1, len(device.latest))
                for repeated in list(device.latest)[-count:]:
                    append(**repeated)
            return number

        return append_and_repeat

    def loses_puback(self, device_id: str) -> bool:
        """Whether to cut the connection in place of the next PUBACK."""
        rate = self._rates.lost_pubacks
        return rate > 0 and self._device(device_id).random.random() < rate

    def _device(self, device_id: str) -> _Device:
        if device_id not in self._devices:
            # A text as the seed is hashed the same way in every process.
            chance = random.Random(f"{self._rates.seed} {device_id}")  # noqa: S311  # no secret
            self._devices[device_id] = _Device(chance, deque(maxlen=self._rates.repeated_events))
        return self._devices[device_id]
