"""One JSON object a line on stderr, with the correlation id of what is being worked on."""

import logging
import logging.config
from contextvars import ContextVar

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")

# These log request lines and headers at INFO, keys in URLs among them.
CHATTY = ("azure", "uamqp", "httpx", "httpcore", "urllib3", "aiohttp", "uvicorn.access")


class CorrelationFilter(logging.Filter):
    """Adds the correlation id to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = correlation_id.get()
        return True


def configure_logging(service: str, level: str) -> None:
    """Log as JSON, in UTC, at `level`; other people's libraries from WARNING on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"correlation": {"()": CorrelationFilter}},
            "formatters": {
                "json": {
                    "()": "pythonjsonlogger.json.JsonFormatter",
                    "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(correlation_id)s",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                    "static_fields": {"service": service},
                    "datefmt": "%Y-%m-%dT%H:%M:%S%z",
                }
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "json",
                    "filters": ["correlation"],
                }
            },
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {name: {"level": "WARNING"} for name in CHATTY},
        }
    )
