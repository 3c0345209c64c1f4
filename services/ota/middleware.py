"""Where the OTA service's requests are written down."""

import logging

from prometheus_client import Counter, Histogram

from shared.recorder import Records

RECORDS = Records(
    logging.getLogger("services.ota.access"),
    Counter(
        "mymote_ota_requests",
        "Requests answered, by route and status",
        ["method", "route", "status"],
    ),
    Histogram(
        "mymote_ota_request_seconds",
        "Time from a request's head to its reply's end",
        ["route"],
        buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120, 600),  # a download over 2G takes minutes
    ),
)
