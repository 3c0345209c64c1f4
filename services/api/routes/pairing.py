"""Pairing, editing and unpairing devices."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Query, Request, Response

from services.api.entities.pairing import DeviceEdit, ImportLine, ImportReport, NewDevice
from services.api.logic import device_edit, import_csv, parked, views
from services.api.logic.bulk_pairing import pair_many
from services.api.logic.device_deletion import History, delete_device
from services.api.logic.device_edit import DeviceChanges, edit_device
from services.api.logic.pairing_by_owner import Guesses, pair_one
from services.api.logic.pairing_request import PairingRequest
from services.api.routes.csv_body import read_csv_bytes
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.idempotency import Idempotent
from services.api.routes.location import set_location
from services.api.routes.pairing_stores import PairingStores
from services.api.routes.router import customer_router
from shared.schemas.contract import DeviceSt, Result

router = customer_router("devices")

MAX_FILE_BYTES = 256 * 1024

_FILE = {
    "requestBody": {
        "required": True,
        "description": (
            "UTF-8, `,` or `;` between fields, quotes as in RFC 4180; the columns `device_key` and "
            "`name`, and where they are wanted `location` and `group` (a group's id, or its name "
            f"where no other has it). At most {import_csv.MAX_LINES} gateways and "
            f"{MAX_FILE_BYTES // 1024} KiB."
        ),
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "device_key,name,location,group\n"
                f'{"0" * 64},Pump 3,"41.890210,12.492231",Boiler rooms\n',
            }
        },
    }
}

DryRun = Annotated[bool, Query(description="Check the file, and pair nothing.")]
KeptHistory = Annotated[
    Literal["keep", "delete"],
    Query(
        description=(
            "`delete`: this account's notifications, timeline, user messages and parked messages "
            "of the device go too."
        )
    ),
]


@router.post(
    "/devices",
    operation_id="pairDevice",
    summary="Pair a device",
    status_code=201,
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
)
async def pair_device(
    request: Request,
    response: Response,
    *,
    resources: Opened,
    stores: PairingStores,
    caller: Caller,
    order_id: Idempotent,
    body: NewDevice,
) -> DeviceSt:
    """The gateway restarts and wipes what it has stored; one that is offline does so later.

    A key that no gateway has and the key of another account's gateway get the same answer (404).
    After 20 of them an account waits an hour (429). A gateway that this account has already is a
    409 that tells its device_id. After a 503, the same call completes the pairing.
    """
    wanted = PairingRequest(caller.user_id, **body.model_dump(), order_id=order_id)
    guesses = Guesses(resources.attempts, caller.user_id)
    document = (await pair_one(stores, guesses, wanted)).device
    request.state.device_id = document.device_id
    set_location(request, response, f"/devices/{document.device_id}")
    set_etag(response, device_edit.tag(document))
    return views.device_st(document, with_key=caller.principal.full)


@router.post(
    "/devices/import",
    operation_id="pairDevices",
    summary="Pair many devices",
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
    openapi_extra=_FILE,
)
async def pair_devices(
    request: Request,
    *,
    resources: Opened,
    stores: PairingStores,
    caller: Caller,
    order_id: Idempotent,
    dry_run: DryRun = False,
) -> ImportReport:
    """A report for each line; a line that fails stops no other, and the status is 200 all the same.

    Sending the file again pairs what is missing. Lines that are not reached in 90 seconds fail.
    """
    reported = await pair_many(
        stores,
        Guesses(resources.attempts, caller.user_id),
        user_id=caller.user_id,
        order_id=order_id,
        lines=import_csv.read(await read_csv_bytes(request, MAX_FILE_BYTES)),
        dry_run=dry_run,
    )
    request.state.device_ids = [each.device_id for each in reported if each.result == "paired"]
    counts = Counter(each.result for each in reported)
    return ImportReport(
        dry_run=dry_run,
        valid=counts["valid"],
        paired=counts["paired"],
        already=counts["already"],
        failed=counts["failed"],
        lines=[ImportLine(**asdict(each)) for each in reported],
    )


@router.patch(
    "/devices/{deviceid}",
    operation_id="updateDevice",
    summary="Edit a device",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503),
)
async def update_device(
    response: Response,
    *,
    stores: PairingStores,
    caller: Caller,
    device_id: DeviceId,
    if_match: IfMatch,
    body: DeviceEdit,
) -> DeviceSt:
    """Its location and its group; its name is fixed.

    What is as wanted already is no lost update, whatever the If-Match.
    """
    wanted = DeviceChanges(**body.model_dump(exclude_unset=True))
    document = await edit_device(stores, caller.user_id, device_id, wanted, if_match)
    set_etag(response, device_edit.tag(document))
    return views.device_st(document, with_key=caller.principal.full)


@router.delete(
    "/devices/{deviceid}",
    operation_id="deleteDevice",
    summary="Unpair and delete a device",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def remove_device(
    resources: Opened,
    *,
    stores: PairingStores,
    caller: Caller,
    device_id: DeviceId,
    history: KeptHistory = "keep",
) -> Result:
    """What the gateway sends from now on belongs to nobody, until it is paired again.

    Repeating it completes what was interrupted; a history that was kept can be deleted later.
    """
    await delete_device(
        stores,
        _history(resources),
        user_id=caller.user_id,
        device_id=device_id,
        with_history=history == "delete",
    )
    return Result(result="deleted")


def _history(resources: Opened) -> History:
    return History(
        notifications=resources.notifications,
        timeline=resources.timeline,
        user_messages=resources.user_messages,
        parked=parked.Stores(
            resources.parked, resources.redeliveries, resources.accounts, resources.gateways
        ),
    )
