"""The App-processor's pins, with simple simulated values."""

import asyncio

DIG_IN1, DIG_IN2 = 16, 17
AN_1, AN_2 = 19, 18
BUTTON = 4
RELAY_OUT, OC_OUT, LED_USER = 20, 21, 7
DATAREQ = 24

LOW, HIGH = 0, 1
PRESS_SECONDS = 0.2

DIGITAL = frozenset({DIG_IN1, DIG_IN2, BUTTON, RELAY_OUT, OC_OUT, LED_USER, DATAREQ})
OUTPUTS = frozenset({RELAY_OUT, OC_OUT, LED_USER})


class Board:
    """Values as a sketch sees them: inversions and dividers of the hardware are undone.

    It outlives resets of the gateway: what is wired to the inputs stays.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()  # set at each change of an input
        self._digital = dict.fromkeys(DIGITAL, LOW) | {BUTTON: HIGH}
        self._analog = {AN_1: 4.0, AN_2: 0.0}  # mA, V
        self._release: asyncio.TimerHandle | None = None

    def digital(self, pin: int) -> int:
        """LOW or HIGH; LOW for a pin that is not digital."""
        return self._digital.get(pin, LOW)

    def analog(self, channel: int) -> float:
        """mA of AN_1, volts of AN_2; 0 for any other."""
        return self._analog.get(channel, 0.0)

    def set_digital(self, pin: int, value: int) -> None:
        """Give a digital pin its level. Raises ValueError for a pin that there is not."""
        if pin not in DIGITAL:
            raise ValueError(f"pin {pin} is not a digital one")
        level = HIGH if value else LOW
        if level != self._digital[pin] and pin not in OUTPUTS:
            self.changed.set()
        self._digital[pin] = level

    def set_analog(self, channel: int, value: float) -> None:
        """Wire a signal to an analog input: 0 to 20 mA (AN_1), 0 to 10 V (AN_2)."""
        top = {AN_1: 20.0, AN_2: 10.0}.get(channel)
        if top is None:
            raise ValueError(f"pin {channel} is not an analog input")
        self._analog[channel] = min(max(value, 0.0), top)
        self.changed.set()

    def press(self) -> None:
        """Push the button (LOW) and let it go after 0.2 s."""
        self.set_digital(BUTTON, LOW)
        if self._release is not None:
            self._release.cancel()
        loop = asyncio.get_running_loop()
        self._release = loop.call_later(PRESS_SECONDS, self.set_digital, BUTTON, HIGH)

    def reset(self) -> None:
        """The gateway was reset: its outputs fall."""
        for pin in OUTPUTS:
            self._digital[pin] = LOW
