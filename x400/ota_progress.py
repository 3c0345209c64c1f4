"""How far an order over the air is: kept in the store, and reported to the cloud."""

from dataclasses import dataclass, replace
from enum import StrEnum

from x400.ota_order import OtaError, OtaRejectedError
from x400.twin import Json


class OtaState(StrEnum):
    """How far an order is; `ignored` is never reported."""

    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    IGNORED = "ignored"


UNDER_WAY = frozenset({OtaState.ACCEPTED, OtaState.DOWNLOADING, OtaState.INSTALLING})
FINAL = frozenset({OtaState.SUCCEEDED, OtaState.REJECTED})  # a fresh ticket changes nothing


@dataclass(frozen=True)
class Progress:
    """Of the last order."""

    job: str
    mark: str  # `fingerprint` of the order as it last came
    state: OtaState = OtaState.ACCEPTED
    percent: int = 0  # of the download
    error: str = ""

    @classmethod
    def of_json(cls, kept: Json) -> "Progress":
        """As it was kept (`dataclasses.asdict`)."""
        return cls(**kept | {"state": OtaState(kept["state"])})

    def report(self) -> Json | None:
        """The reported property; None where the cloud is told nothing."""
        if self.state is OtaState.IGNORED:
            return None
        return {
            "job": self.job,
            "state": self.state.value,
            "percent": self.percent,
            "error": self.error,
        }

    def ended(self, error: OtaError) -> "Progress":
        """It failed, or was rejected."""
        rejected = isinstance(error, OtaRejectedError)
        state = OtaState.REJECTED if rejected else OtaState.FAILED
        return replace(self, state=state, error=str(error))
