"""Orders to install something, from the api."""

from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel, Field

from services.ota.logic import orders
from services.ota.logic.orders import Order
from services.ota.logic.worker import Worker
from services.ota.routes.authorized import Opened, internal_router
from shared.schemas.contract import Result

router = internal_router()

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Name = Annotated[str, Field(max_length=200)]

_ACCOUNT = "/accounts/{user_id}"


class AppOrder(BaseModel):
    """`id`: the order's, and the job's that it makes."""

    id: Id
    app_id: Id
    version_id: Id
    ordered_by: Name = ""


class FirmwareOrder(BaseModel):
    """As `AppOrder`."""

    id: Id
    firmware_id: Id
    ordered_by: Name = ""


class Cancellation(BaseModel):
    """Who takes an order back."""

    cancelled_by: Name = ""


def _worker(resources: Opened) -> Worker:
    return resources.worker


Work = Annotated[Worker, Depends(_worker)]


@router.post(_ACCOUNT + "/devices/{device_id}/app-orders")
async def order_app(worker: Work, user_id: str, device_id: str, order: AppOrder) -> Result:
    """Have a device install a version of an app."""
    wanted = Order(order.id, user_id, device_id, order.ordered_by)
    await orders.order_app(worker, wanted, order.app_id, order.version_id)
    return Result(result="ordered")


@router.post(_ACCOUNT + "/devices/{device_id}/firmware-orders")
async def order_firmware(
    worker: Work, user_id: str, device_id: str, order: FirmwareOrder
) -> Result:
    """Have a device install a firmware."""
    wanted = Order(order.id, user_id, device_id, order.ordered_by)
    await orders.order_firmware(worker, wanted, order.firmware_id)
    return Result(result="ordered")


@router.post(_ACCOUNT + "/jobs/{job_id}/cancel")
async def cancel_job(worker: Work, user_id: str, job_id: str, cancellation: Cancellation) -> Result:
    """Take an order back, unless it ended or its gateway installs already."""
    await orders.cancel(worker, user_id, job_id, cancellation.cancelled_by)
    return Result(result="cancelled")
