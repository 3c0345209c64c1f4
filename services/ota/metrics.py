"""What Prometheus reads of jobs."""

from prometheus_client import Counter, Gauge

ORDERS = Counter("mymote_ota_orders_total", "Orders that were taken, by kind.", ["kind"])
SENT = Counter(
    "mymote_ota_orders_sent_total",
    "Orders written into twins, again and with new tickets.",
    ["kind"],
)
ENDED = Counter("mymote_ota_jobs_ended_total", "Jobs by kind and end.", ["kind", "state"])
LOOKS = Counter("mymote_ota_looks_total", "Jobs looked at, by what came of it.", ["outcome"])
EVENTS = Counter("mymote_ota_events_total", "Events of the stream, by what they were.", ["kind"])
LAG = Gauge("mymote_ota_lag_seconds", "Age of the last event that was dealt with.", ["partition"])
