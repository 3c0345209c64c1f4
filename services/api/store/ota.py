"""The OTA service over HTTP: what changes apps and firmware, and orders them to devices.

Its internal interface, under the setting `MYMOTE_OTA_URL`. The api has authenticated the caller
and decided that they may; the OTA service trusts it for the account in the path. It writes the
containers `apps` and `firmware`, which the api only reads.

Under /internal/accounts/{user_id}:

    POST   /apps                                   {id, name}               201 AppDocument
    PATCH  /apps/{app_id}                          {name}, If-Match         200 AppDocument
    DELETE /apps/{app_id}                                                   200 RESULT
    POST   /apps/{app_id}/versions                 the .bin                 201 AppVersionDocument
    DELETE /apps/{app_id}/versions/{version_id}                             200 RESULT
    POST   /devices/{device_id}/app-orders         {id, app_id, version_id, ordered_by}   200 RESULT
    POST   /devices/{device_id}/firmware-orders    {id, firmware_id, ordered_by}          200 RESULT
    POST   /jobs/{job_id}/cancel                   {cancelled_by}           200 RESULT

Of the platform, for its operator:

    POST   /internal/firmware                      the .bin                 201 FirmwareDocument
    DELETE /internal/firmware/{firmware_id}                                 200 RESULT

- Every request has `Authorization: Bearer {MYMOTE_OTA_KEY}` (401 without) and
  `X-Correlation-Id`. JSON documents are those of `shared.schemas.artifacts`, with all fields;
  RESULT and ERROR are those of the REST contract.
- `id` is a UUID that the api made, also the id of the app or order that is made: sent again, the
  same request makes nothing twice and gets the same reply.
- A .bin is the request's body as it is (`application/octet-stream`, chunked or with
  Content-Length), cut off where the client's is: what did not end is not kept. Beside it in the
  query: `version` ("a.b.c"), `name`, `note` ("" for none), and for firmware `type`; in the header
  `Content-MD5` what the client says, if it does, and 400 where that is not the body's.
- An order makes a job of its id (`shared.schemas.jobs`); a newer one of its kind supersedes it.
- If-Match is Cosmos DB's `_etag` of the app's document: 412 where it is another by now.
- Refusals carry the ERROR body: 400 for what cannot be, 404 for what the account does not have,
  409 for what contradicts what is there (a version that exists, an app or version that a device is
  being sent, firmware of another type of gateway, a job that has its end or installs already), 412,
  413 above the service's own limit, 415, 429 and 503 with Retry-After. These sentences reach the
  customer; anything else becomes a 503.
"""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from services.api.store.ota_replies import answered, read_reply
from shared.errors import NotAvailable
from shared.schemas.artifacts import AppDocument, AppVersionDocument, FirmwareDocument
from shared.schemas.contract import Result

CONNECT_SECONDS = 3.0
CALL_SECONDS = 10.0
STORED_SECONDS = 60.0  # from the last byte of a .bin to the reply, and for any one write
CONNECTIONS = 50

_ACCOUNT = "/internal/accounts"


@dataclass(frozen=True)
class Binary:
    """A .bin on its way through the api, and what is said of it."""

    chunks: AsyncIterator[bytes]
    length: int | None  # bytes, where the client says it
    md5: bytes | None  # where the client says it
    version: str
    name: str
    note: str
    type: str = ""  # of gateways, for firmware

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if self.length is not None:
            headers["Content-Length"] = str(self.length)
        if self.md5 is not None:
            headers["Content-MD5"] = b64encode(self.md5).decode()
        return headers

    @property
    def query(self) -> dict[str, str]:
        said = {"version": self.version, "name": self.name, "note": self.note}
        return said | {"type": self.type} if self.type else said


@dataclass(frozen=True)
class Ota:
    """Every call raises the refusals above, NotAvailable where this installation has no OTA
    service, and Unavailable where it does not answer as it should."""

    client: httpx.AsyncClient | None

    async def create_app(self, user_id: str, app_id: str, name: str) -> AppDocument:
        """Make an app of this id."""
        body = await self._call("POST", _path(user_id, "apps"), json={"id": app_id, "name": name})
        return read_reply(AppDocument, body)

    async def rename_app(self, user_id: str, app_id: str, name: str, etag: str) -> AppDocument:
        """Raises Changed where the document is not the one of `etag` any more."""
        path = _path(user_id, "apps", app_id)
        headers = {"If-Match": etag}
        body = await self._call("PATCH", path, json={"name": name}, headers=headers)
        return read_reply(AppDocument, body)

    async def delete_app(self, user_id: str, app_id: str) -> None:
        """With all its versions."""
        await self._call("DELETE", _path(user_id, "apps", app_id))

    async def upload_version(self, user_id: str, app_id: str, binary: Binary) -> AppVersionDocument:
        """Raises what reading the binary raises, too; the OTA service keeps nothing then."""
        path = _path(user_id, "apps", app_id, "versions")
        return read_reply(AppVersionDocument, await self._upload(path, binary.query, binary))

    async def delete_version(self, user_id: str, app_id: str, version_id: str) -> None:
        """For ever."""
        await self._call("DELETE", _path(user_id, "apps", app_id, "versions", version_id))

    async def order_app(
        self,
        user_id: str,
        device_id: str,
        *,
        order_id: str,
        app_id: str,
        version_id: str,
        ordered_by: str,
    ) -> Result:
        """Have a device install a version of an app."""
        order = {
            "id": order_id,
            "app_id": app_id,
            "version_id": version_id,
            "ordered_by": ordered_by,
        }
        path = _path(user_id, "devices", device_id, "app-orders")
        return read_reply(Result, await self._call("POST", path, json=order))

    async def order_firmware(
        self, user_id: str, device_id: str, *, order_id: str, firmware_id: str, ordered_by: str
    ) -> Result:
        """Have a device install a firmware."""
        order = {"id": order_id, "firmware_id": firmware_id, "ordered_by": ordered_by}
        path = _path(user_id, "devices", device_id, "firmware-orders")
        return read_reply(Result, await self._call("POST", path, json=order))

    async def cancel_job(self, user_id: str, job_id: str, cancelled_by: str) -> None:
        """Raises Conflict where the job has its end or its device installs already."""
        path = _path(user_id, "jobs", job_id, "cancel")
        await self._call("POST", path, json={"cancelled_by": cancelled_by})

    async def upload_firmware(self, binary: Binary) -> FirmwareDocument:
        """Raises what reading the binary raises, too; the OTA service keeps nothing then."""
        made = await self._upload("/internal/firmware", binary.query, binary)
        return read_reply(FirmwareDocument, made)

    async def delete_firmware(self, firmware_id: str) -> None:
        """For ever."""
        await self._call("DELETE", f"/internal/firmware/{quote(firmware_id, safe='')}")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        client = self._opened()
        return await answered(
            client, client.build_request(method, path, json=json, headers=headers)
        )

    async def _upload(self, path: str, query: Mapping[str, str], binary: Binary) -> bytes:
        client = self._opened()
        request = client.build_request(
            "POST",
            path,
            params=query,
            content=binary.chunks,
            headers=binary.headers,
            timeout=httpx.Timeout(STORED_SECONDS, connect=CONNECT_SECONDS),
        )
        return await answered(client, request)

    def require_installed(self) -> None:
        """Raises NotAvailable."""
        self._opened()

    def _opened(self) -> httpx.AsyncClient:
        if self.client is None:
            raise NotAvailable(
                "This installation has no OTA service; apps and firmware cannot be changed or "
                "sent from here."
            )
        return self.client


@asynccontextmanager
async def open_ota(url: str, key: SecretStr | None, ca_file: Path | None) -> AsyncIterator[Ota]:
    """One client for the life of the api; `url` is "" where there is no OTA service."""
    if not url or key is None:
        yield Ota(None)
        return
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key.get_secret_value()}"},
        timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=CONNECTIONS),
        verify=ssl.create_default_context(cafile=ca_file),
        trust_env=False,  # no proxy stands between the services
    ) as client:
        yield Ota(client)


def _path(user_id: str, *parts: str) -> str:
    return "/".join((_ACCOUNT, *(quote(part, safe="") for part in (user_id, *parts))))
