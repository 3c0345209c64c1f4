"""Network settings that an app gives the Core, as the serial protocol carries them."""

from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from x400.errors import ErrorCode, IomoteError

DHCP_ON, DHCP_OFF = 2, 1


@dataclass(frozen=True)
class EthernetConfig:
    """DHCP, or a static IPv4 configuration."""

    dhcp: bool = True
    ip: str = "0.0.0.0"  # noqa: S104 - "not set", nothing listens here
    subnet: str = "0.0.0.0"  # noqa: S104
    gateway: str = "0.0.0.0"  # noqa: S104
    dns: str = "0.0.0.0"  # noqa: S104

    def check(self) -> None:
        """Raises IomoteError (DHCP_VAL) where a static configuration cannot work."""
        try:
            ip, subnet, _, _ = (
                IPv4Address(text) for text in (self.ip, self.subnet, self.gateway, self.dns)
            )
        except AddressValueError as error:
            raise IomoteError(ErrorCode.IOMOTE_ERR_DHCP_VAL, str(error)) from None
        if self.dhcp:
            return
        host_bits = int(subnet) ^ 0xFFFFFFFF
        if not int(subnet) or host_bits & (host_bits + 1):
            raise IomoteError(ErrorCode.IOMOTE_ERR_DHCP_VAL, f"{subnet} is not a subnet mask")
        if ip.is_unspecified or ip.is_multicast:
            raise IomoteError(ErrorCode.IOMOTE_ERR_DHCP_VAL, f"{ip} is not an address of a host")

    @classmethod
    def from_bytes(cls, raw: bytes) -> "EthernetConfig":
        """The 17 bytes of request 0400. Raises IomoteError."""
        if len(raw) != 17:
            raise IomoteError(ErrorCode.IOMOTE_ERR_PAYLOAD, "17 bytes are needed")
        if raw[0] not in (DHCP_ON, DHCP_OFF):
            raise IomoteError(ErrorCode.IOMOTE_ERR_DHCP_VAL, "DHCP is 2 (on) or 1 (off)")
        addresses = [str(IPv4Address(raw[i : i + 4])) for i in range(1, 17, 4)]
        return cls(raw[0] == DHCP_ON, *addresses)


@dataclass(frozen=True)
class ApnConfig:
    """How the modem reaches its network; empty fields are left to the operator."""

    auth_mode: str
    server: str
    user: str
    password: str = field(repr=False)
    ip: str
    dns1: str
    dns2: str

    @classmethod
    def from_text(cls, text: str) -> "ApnConfig":
        """The payload of request 0401: seven fields between single spaces. Raises IomoteError."""
        fields = text.split(" ")
        if len(fields) != 7:
            raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, "seven fields are needed")
        if fields[0] and not fields[0].isdecimal():
            raise IomoteError(ErrorCode.IOMOTE_ERR_DATA, "the authentication mode is a number")
        return cls(*fields)
