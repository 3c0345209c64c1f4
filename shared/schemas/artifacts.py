"""Apps and firmware as Cosmos DB keeps them; the binaries are blobs."""

from typing import Literal

from pydantic import BaseModel

from shared.schemas.documents import Sortable

_NUMBER = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# "a.b.c", each 0 to 255 (rest-contract.md), as JSON Schema and OpenAPI write it.
VERSION_PATTERN = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}$"


class AppDocument(BaseModel):
    """Container `apps`: a program for the App-processor, as its account names it."""

    id: str
    user_id: str
    kind: Literal["app"] = "app"
    name: str
    last_app_version_id: str = ""
    created_at: Sortable


class AppVersionDocument(BaseModel):
    """Container `apps`: one version of an app; it never changes."""

    id: str
    user_id: str
    kind: Literal["version"] = "version"
    app_id: str
    app_name: str = ""  # the app's at the upload: the signature has it
    name: str
    version: str  # "a.b.c", each 0 to 255
    note: str = ""
    created_at: Sortable
    filepath: str  # the blob's name
    download_key: str
    sig_md5: str  # base64 of the 16 MD5 bytes
    sha256: str  # hex
    signature: str  # base64, Ed25519 by the platform's key
    size: int  # bytes
    blob_etag: str = ""  # as it was stored: a blob that was changed since has another one
    deleting: bool = False  # whoever deletes it sets this first; no new order takes it then


class FirmwareDocument(BaseModel):
    """Container `firmware`: a version of the Iomote Core's own software; it never changes."""

    id: str
    type: str  # the gateways it is for: the partition key
    kind: Literal["firmware"] = "firmware"
    name: str
    version: str  # "a.b.c", each 0 to 255
    note: str = ""
    created_at: Sortable
    filepath: str  # the blob's name
    download_key: str
    sig_md5: str  # base64 of the 16 MD5 bytes
    sha256: str  # hex
    signature: str  # base64, Ed25519 by the platform's key
    size: int  # bytes
    blob_etag: str = ""  # as it was stored: a blob that was changed since has another one
    deleting: bool = False  # whoever deletes it sets this first; no new order takes it then
