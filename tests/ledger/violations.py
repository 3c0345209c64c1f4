"""A difference between what was found and what must be."""

from dataclasses import dataclass

from tests.ledger.records import Key


@dataclass(frozen=True)
class Violation:
    """Of one message, or of the whole (`key` is None)."""

    kind: str
    key: Key | None
    text: str

    def __str__(self) -> str:
        of = f" {self.key.device_id} mid {self.key.mid}" if self.key else ""
        return f"{self.kind}{of}: {self.text}"
