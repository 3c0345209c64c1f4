"""Settings of ingest alone, from `MYMOTE_INGEST_*`; `shared.settings` has what all need."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """Limits, sizes and times of the message path."""

    model_config = SettingsConfigDict(env_prefix="MYMOTE_INGEST_")

    port: int = 8003  # health and metrics

    # The SDK's receive loop sleeps 50 ms between reads of a partition, so throughput comes from
    # the size of a read (azure-wire-facts.md, "Event Hubs"). Up to twice as many events of each
    # partition wait in memory.
    prefetch: int = Field(1000, ge=1)
    max_batch_size: int = Field(1000, ge=1)
    checkpoint_seconds: float = Field(1.0, ge=0)

    # Each sender has a TCP connection of its own, and a namespace allows 5,000.
    max_senders: int = Field(200, ge=1)
    concurrent_sends: int = Field(100, ge=1)  # opening one takes half a second of the SDK's sleep
    concurrent_writes: int = Field(16, ge=1)

    # How many gateways, devices, accounts, and ledgers for each partition stay in memory.
    cache_size: int = Field(20_000, ge=100)
    feed_seconds: float = Field(1.0, gt=0)  # between reads of a change feed
    feed_stale_seconds: float = Field(5.0, gt=0)  # a staler one makes the consumers wait

    quota_data: int = Field(100, ge=0)  # messages for each gateway and UTC day of creation
    quota_notifications: int = Field(100, ge=0)
    parked_per_day: int = Field(100, ge=0)  # malformed or over quota, for each gateway and UTC day
    # Entries in a gateway's timeline that it connected or disconnected, on each of the hub's days.
    connections_per_day: int = Field(50, ge=0)

    # So many accounts whose gateways mostly send what cannot be understood, and more than half of
    # all seen, are our own fault: the consumer stops.
    garbage_accounts: int = Field(5, ge=2)
    unannotated_events: int = Field(100, ge=1)  # in a row, without IoT Hub's annotations: likewise

    # Held accounts that are delivered to at once in this process; each may take a connection.
    concurrent_drains: int = Field(8, ge=1)
    order_seconds: float = Field(5.0, gt=0)  # between looks for redeliveries that were ordered

    stalled_seconds: float = Field(60.0, gt=0)  # a batch in hand for longer: not ready

    drain_seconds: float = Field(5.0, gt=0)  # for the batches in hand when told to stop
