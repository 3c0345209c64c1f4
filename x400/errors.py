"""The error codes of the Iomote Core, as the Arduino library returns them."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Values of `x400-serial-protocol.md`; the library returns them as negative numbers."""

    IOMOTE_ERR_TIMEOUT = -1
    IOMOTE_ERR_DATA = -2
    IOMOTE_ERR_MSG_SIZE = -3
    IOMOTE_ERR_MSG_LIMIT = -4
    IOMOTE_ERR_PAYLOAD = -5
    IOMOTE_ERR_DHCP_VAL = -6
    IOMOTE_ERR_STORAGE_FULL = -7
    IOMOTE_ERR_STORAGE_WR = -8
    IOMOTE_ERR_MEMORY = -123
    IOMOTE_ERR_CHECKSUM = -126
    IOMOTE_ERR_UNKNOWN = -127


class IomoteError(Exception):
    """A request that the Core refuses: a NACK on the wire, a negative return in the library."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name} ({code.value}): {reason}")
        self.code = code
        self.reason = reason
