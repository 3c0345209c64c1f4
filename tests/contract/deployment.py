"""Where the contract is checked: a deployment that the environment names, or a local stack."""

import os
import ssl
from dataclasses import dataclass, field

import httpx

URL = "MYMOTE_CONTRACT_URL"
HINT = "make contract URL=https://... USER_ID=... API_KEY=... (WRITE=1 also sends orders)"


@dataclass(frozen=True)
class Deployment:
    """An account of a deployment. Its orders are tried only where `write` allows it."""

    url: str
    user_id: str
    api_key: str = field(repr=False)
    write: bool = False

    @property
    def path(self) -> str:
        """With the key in it, as the contract has it."""
        return f"/api/user/{self.user_id}/{self.api_key}"

    def client(self) -> httpx.AsyncClient:
        """MYMOTE_CONTRACT_CA names a certificate authority of its own, where there is one."""
        ca_file = os.environ.get("MYMOTE_CONTRACT_CA")
        context = ssl.create_default_context(cafile=ca_file or None)
        return httpx.AsyncClient(base_url=self.url, timeout=30, verify=context)


def named() -> Deployment:
    """The one that the environment names."""
    values = {
        name: os.environ.get(f"MYMOTE_CONTRACT_{name}", "") for name in ("USER_ID", "API_KEY")
    }
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} not given: {HINT}")
    write = os.environ.get("MYMOTE_CONTRACT_WRITE", "") not in ("", "0")
    return Deployment(os.environ[URL], values["USER_ID"], values["API_KEY"], write)
