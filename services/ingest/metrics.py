"""What Prometheus reads of ingest."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter(
    "mymote_ingest_events_total", "Events by kind and what became of them.", ["kind", "outcome"]
)
PARKED = Counter("mymote_ingest_parked_total", "Parked messages by reason.", ["reason"])
DROPPED = Counter(
    "mymote_ingest_dropped_total",
    "Messages above the cap of what is parked of a device and day, by reason.",
    ["reason"],
)
HELD = Gauge(
    "mymote_ingest_held_accounts",
    "Accounts whose messages are held back since their queue refuses, by partition.",
    ["partition"],
)
REDELIVERED = Counter(
    "mymote_ingest_redelivered_total", "Parked messages that were delivered, by reason.", ["reason"]
)
BATCH_SIZE = Histogram(
    "mymote_ingest_batch_events",
    "Events received at once from a partition.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
)
SECONDS = Histogram(
    "mymote_ingest_run_seconds",
    "From deciding about a run of events to its commit.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
COMMITS = Counter("mymote_ingest_commits_total", "Committed runs of events.")
LOST = Counter("mymote_ingest_partitions_lost_total", "Partitions another process took over.")
LAG = Gauge(
    "mymote_ingest_lag_seconds",
    "Age of the last event that was committed, at its commit.",
    ["partition"],
)
CACHE = Counter("mymote_ingest_cache_total", "Look-ups by cache and result.", ["cache", "result"])
SENT = Counter("mymote_ingest_sent_total", "Messages accepted by accounts' queues.")
REFUSED = Counter(
    "mymote_ingest_send_failures_total", "Attempts to send that failed, by error.", ["error"]
)
SENDERS = Gauge("mymote_ingest_senders", "Open connections to accounts' queues.")
