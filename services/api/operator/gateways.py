"""`gateway` commands."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

import typer

from services.api.logic import pairing
from services.api.logic.ids import check_device_id, new_device_key
from services.api.logic.intervals import current
from services.api.logic.manufacturing import Manufactured, manufacture
from services.api.operator.device_keys import FROM_INPUT, read_device_key
from services.api.operator.output import Row, print_fields, print_pages, print_rows
from services.api.operator.runner import AsJson, pairing_stores, run
from services.api.resources import Resources
from shared.errors import NotFound
from shared.schemas.documents import Gateway

gateway_app = typer.Typer(no_args_is_help=True, help="The inventory, and who owns what.")

LIST_PAGE = 500
AT_ONCE = 4  # IoT Hub takes 100 registry calls a minute and unit

DeviceId = Annotated[str, typer.Option(help="X400_ and 40 hex digits.")]
UserId = Annotated[str, typer.Option(help="The account's user id.")]


@gateway_app.command("manufacture")
def gateway_manufacture(
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 1,
    device_key: Annotated[
        str,
        typer.Option(
            help='Repeat one that was interrupted, under its device key; "-" reads that from '
            "standard input."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make gateways: a device key, an identity in IoT Hub, an entry in the inventory.

    The keys are shown this once. JSON is a list, of one too.

    Example: mymote-operator gateway manufacture --count 20 --json > batch-7.json
    """
    given = read_device_key(device_key)
    keys = [given] if given else [new_device_key() for _ in range(count)]

    async def work(resources: Resources) -> list[Manufactured]:
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> Manufactured:
            async with limit:
                return await manufacture(resources.gateways, resources.hub, key)

        return await asyncio.gather(*(one(key) for key in keys))

    made = [asdict(gateway) for gateway in run(work, as_json=as_json)]
    if as_json:
        print_rows(made, as_json=True, empty="")
        return
    for gateway in made:
        print_fields(gateway, as_json=False, said="Gateway made. Its keys are shown this once:")


@gateway_app.command("list")
def gateway_list(as_json: AsJson = False) -> None:
    """The inventory with each gateway's present owner."""
    empty = "No gateways yet. Make one: mymote-operator gateway manufacture"
    run(
        lambda resources: print_pages(_gateway_pages(resources), as_json=as_json, empty=empty),
        as_json=as_json,
    )


@gateway_app.command("show")
def gateway_show(device_id: DeviceId, as_json: AsJson = False) -> None:
    """One gateway: its pairings, oldest first, and what IoT Hub knows of it.

    Example: mymote-operator gateway show --device-id X400_8cb2237d0679ca88db6464eac60da96345513964
    """

    async def work(resources: Resources) -> Row:
        found = await resources.gateways.get(check_device_id(device_id))
        if found is None:
            raise NotFound("The inventory has no gateway of this id.")
        try:
            status = (await resources.hub.get_twin(device_id)).status
        except NotFound:
            status = "IoT Hub does not know it"
        return {
            **_gateway_row(found[0]),
            "status": status,
            "pairings": [one.model_dump(mode="json") for one in found[0].pairings],
        }

    print_fields(run(work, as_json=as_json), as_json=as_json)


@gateway_app.command("pair")
def gateway_pair(
    *,
    user_id: UserId,
    device_key: Annotated[
        str,
        typer.Option(
            envvar="MYMOTE_DEVICE_KEY",
            help='The 64 characters on the gateway\'s label; "-" reads them from standard input, '
            "or asks.",
        ),
    ] = FROM_INPUT,
    name: Annotated[str, typer.Option(help="The device's name, fixed from now on.")],
    location: Annotated[str, typer.Option(help='"lat,lon" in degrees.')] = "",
    group: Annotated[str, typer.Option(help="The id of one of the account's groups.")] = "",
    as_json: AsJson = False,
) -> None:
    """Give a gateway to an account; it restarts and wipes what it has stored.

    Repeat it after an interruption; a pairing that is complete is left as it is. Without
    --device-key it asks for the key, so that this stands in no list of processes.

    Example: mymote-operator gateway pair --user-id u3f9c2d41a07be586 --name "Pump 3"
    --location 41.890210,12.492231 < key.txt
    """
    request = pairing.PairingRequest(
        user_id=user_id,
        device_key=read_device_key(device_key),
        name=name,
        location=location,
        group_id=group,
    )
    paired = run(
        lambda resources: pairing.pair(pairing_stores(resources), request), as_json=as_json
    )
    fields: dict[str, object] = {
        "user_id": user_id,
        "device_id": paired.device.device_id,
        "name": paired.device.name,
        "paired": not paired.already,
        "rebooted": paired.rebooted,
    }
    said = "The gateway is paired with this account already." if paired.already else "Paired."
    print_fields(fields, as_json=as_json, said=said)


@gateway_app.command("unpair")
def gateway_unpair(user_id: UserId, device_id: DeviceId, as_json: AsJson = False) -> None:
    """Take a gateway from its account. Its data goes to nobody until it is paired again.

    Example: mymote-operator gateway unpair --user-id u3f9c2d41a07be586 --device-id X400_8cb2…
    """
    run(
        lambda resources: pairing.unpair(
            pairing_stores(resources), user_id, check_device_id(device_id)
        ),
        as_json=as_json,
    )
    print_fields({"user_id": user_id, "device_id": device_id}, as_json=as_json, said="Unpaired.")


async def _gateway_pages(resources: Resources) -> AsyncIterator[list[Row]]:
    cursor = ""
    while True:
        page = await resources.gateways.page(LIST_PAGE, cursor)
        yield [_gateway_row(gateway) for gateway in page.gateways]
        if not (cursor := page.next):
            return


def _gateway_row(gateway: Gateway) -> dict[str, object]:
    present = current(gateway)
    return {
        "device_id": gateway.device_id,
        "type": gateway.type,
        "manufactured_at": gateway.manufactured_at.isoformat(timespec="seconds"),
        "user_id": present.user_id if present else "",
        "name": present.device_name if present else "",
    }
