"""Certificates of the TLS listeners, from an authority of this machine's own.

The authority is made once and kept in the state directory: `ca.pem` is what clients trust,
`ca.key` never leaves the machine. The listeners' certificate is issued anew at every start, so it
always bears the names in use.
"""

import ipaddress
import os
import ssl
from collections.abc import Iterable
from pathlib import Path

import trustme

CA_FILE = "ca.pem"
CA_KEY_FILE = "ca.key"


def server_context(state_dir: Path, names: Iterable[str]) -> ssl.SSLContext:
    """A TLS context for listeners that are reached by any of `names` (host names or addresses)."""
    leaf = _authority(state_dir).issue_cert(*_certifiable(names))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    leaf.configure_cert(context)
    return context


def _authority(state_dir: Path) -> trustme.CA:
    certificate, key = state_dir / CA_FILE, state_dir / CA_KEY_FILE
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="MyMote on this machine")
    _write(key, authority.private_key_pem.bytes())
    _write(certificate, authority.cert_pem.bytes())
    return authority


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)


def _certifiable(names: Iterable[str]) -> list[str]:
    """Each name once; an address that means "all of them" is none a client connects to."""
    return [name for name in dict.fromkeys(names) if not _is_unspecified(name)]


def _is_unspecified(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False
