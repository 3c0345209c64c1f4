"""Activity statistics: the ledger that ingest keeps, as the contract's DEVICESTATS."""

from datetime import date, timedelta

from shared.schemas.contract import DeviceStats
from shared.schemas.documents import DayCount, DeviceDocument, Ledger

DAYS_BACK = 7


def device_stats(device: DeviceDocument, ledger: Ledger | None, today: date) -> DeviceStats:
    """Counts of the present pairing by UTC day: `current` is `today`, `1` the day before.

    The ledger's days are dates and stand still while nothing arrives, so they are looked up
    from today backwards.
    """
    identity = {"id": device.stat_device_id, "stat_of_device_id": device.device_id}
    if ledger is None or ledger.owner != device.owner:
        return DeviceStats.model_validate(identity)
    counts: dict[str, int] = {"msg_tot": ledger.messages, "bytes_tot": ledger.bytes}
    for back in range(DAYS_BACK + 1):
        suffix = "current" if back == 0 else str(back)
        day = ledger.days.get(today - timedelta(days=back), DayCount())
        counts |= {f"msg_{suffix}": day.messages, f"bytes_{suffix}": day.bytes}
    return DeviceStats.model_validate(identity | counts)
