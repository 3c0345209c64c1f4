"""The calls of the platform's operator, under `/api/operator`."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Request, Response

from services.api.entities.keys import CreateKey, NewApiKey
from services.api.entities.operator import (
    CreateAccount,
    CustomerAccount,
    CustomerAccountPage,
    InventoryGateway,
    InventoryPage,
    InviteOwner,
    ManufacturedGateway,
    ManufactureGateways,
    Namespace,
    NewAccount,
)
from services.api.entities.people import NewInvitation
from services.api.logic import customers
from services.api.logic.accounts import create_account, namespaces_in_use
from services.api.logic.customers import OperatorStores
from services.api.logic.ids import check_user_id, new_device_key, new_user_id
from services.api.logic.intervals import current
from services.api.logic.key_views import new_key_view
from services.api.logic.manufacturing import Manufactured, manufacture
from services.api.routes.dependencies import Opened, client_address
from services.api.routes.errors import refusals
from services.api.routes.join import link_of
from services.api.routes.operator_access import operator_router
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from shared.errors import Conflict, NotFound
from shared.schemas.accounts import Account
from shared.schemas.documents import Gateway

AT_ONCE = 4  # gateways: IoT Hub takes 100 registry calls a minute and unit

router = operator_router()


def _stores(resources: Opened) -> OperatorStores:
    return OperatorStores(resources.accounts, resources.audit, resources.timeline)


def _user_id(
    userid: Annotated[
        str, Path(description="The account's UserID.", examples=["u3f9c2d41a07be586"])
    ],
) -> str:
    return check_user_id(userid)


Stores = Annotated[OperatorStores, Depends(_stores)]
UserId = Annotated[str, Depends(_user_id)]


@router.get(
    "/accounts",
    operation_id="operatorListAccounts",
    summary="All accounts",
    responses=refusals(400, 401, 429, 501, 503),
)
async def list_accounts(
    resources: Opened, limit: Limit = DEFAULT_PAGE, cursor: Cursor = ""
) -> CustomerAccountPage:
    """Of the whole platform, page by page; a page costs what it holds."""
    page = await resources.accounts.page(limit, cursor)
    return CustomerAccountPage(items=[_account(each) for each in page.accounts], next=page.next)


@router.post(
    "/accounts",
    operation_id="operatorCreateAccount",
    summary="Make an account",
    status_code=201,
    responses=refusals(400, 401, 408, 409, 413, 415, 429, 501, 503),
)
async def make_account(resources: Opened, response: Response, body: CreateAccount) -> NewAccount:
    """With its queue and first API key. After an interruption, the same `user_id` completes it;
    one that is complete answers 409.
    """
    made = await create_account(
        resources.making_accounts,
        user_id=body.user_id or new_user_id(),
        username=body.username,
    )
    user_id = made.account.user_id
    if not made.api_key:
        raise Conflict("There is an account of this user id already; make another key for it.")
    response.headers["Location"] = f"/api/operator/accounts/{user_id}"
    return NewAccount(
        user_id=user_id,
        username=made.account.username,
        api_key=made.api_key,
        queue_connection_string=made.queue_connection_string,
    )


@router.get(
    "/accounts/{userid}",
    operation_id="operatorGetAccount",
    summary="One account",
    responses=refusals(400, 401, 404, 429, 501, 503),
)
async def read_account(resources: Opened, user_id: UserId) -> CustomerAccount:
    """As the list shows it."""
    account = await resources.accounts.get(user_id)
    if account is None:
        raise NotFound("There is no account of this user id.")
    return _account(account)


@router.post(
    "/accounts/{userid}/keys",
    operation_id="operatorCreateKey",
    summary="Make an API key for an account",
    status_code=201,
    responses=refusals(400, 401, 404, 408, 409, 413, 415, 429, 501, 503),
)
async def make_key(
    request: Request, response: Response, stores: Stores, user_id: UserId, body: CreateKey
) -> NewApiKey:
    """Where its owners lost theirs. The others stay valid; owners see it in their audit log."""
    now = datetime.now(UTC)
    made = await customers.make_key(
        stores,
        user_id,
        name=body.name,
        scopes=body.scopes,
        expires_at=body.expires_at,
        now=now,
        address=client_address(request),
    )
    response.headers["Location"] = f"/api/user/{user_id}/-/account/keys/{made.key.id}"
    return new_key_view(made, now)


@router.post(
    "/accounts/{userid}/invitations",
    operation_id="operatorInviteOwner",
    summary="Invite an owner into an account",
    status_code=201,
    responses=refusals(400, 401, 404, 408, 409, 413, 415, 429, 501, 503),
)
async def invite_owner(  # noqa: PLR0917 - FastAPI calls it by name
    request: Request,
    response: Response,
    resources: Opened,
    stores: Stores,
    user_id: UserId,
    body: InviteOwner,
) -> NewInvitation:
    """A link that works once, within seven days. It is not sent to anybody: hand it over."""
    made = await customers.invite_owner(
        stores, user_id, note=body.note, address=client_address(request)
    )
    invitation = made.invitation
    response.headers["Location"] = f"/api/user/{user_id}/-/invitations/{invitation.id}"
    return NewInvitation(
        **invitation.model_dump(exclude={"sha256"}),
        token=made.token,
        link=link_of(request, resources.settings.public_url, made.token),
    )


@router.get(
    "/namespaces",
    operation_id="operatorListNamespaces",
    summary="Service Bus namespaces and how full they are",
    responses=refusals(400, 401, 429, 501, 503),
)
async def list_namespaces(resources: Opened) -> list[Namespace]:
    """Those of the settings, in their order."""
    uses = await namespaces_in_use(resources.making_accounts)
    return [Namespace(**asdict(use)) for use in uses]


@router.get(
    "/gateways",
    operation_id="operatorListGateways",
    summary="The inventory",
    responses=refusals(400, 401, 429, 501, 503),
)
async def list_gateways(
    resources: Opened, limit: Limit = DEFAULT_PAGE, cursor: Cursor = ""
) -> InventoryPage:
    """Every gateway with its present owner, page by page; a page costs what it holds."""
    page = await resources.gateways.page(limit, cursor)
    return InventoryPage(items=[_gateway(each) for each in page.gateways], next=page.next)


@router.post(
    "/gateways",
    operation_id="operatorManufactureGateways",
    summary="Manufacture gateways",
    status_code=201,
    responses=refusals(400, 401, 408, 413, 415, 429, 501, 503),
)
async def manufacture_gateways(
    resources: Opened, body: ManufactureGateways
) -> list[ManufacturedGateway]:
    """A device key, an identity in IoT Hub, an entry in the inventory for each.

    To be able to repeat it after an interruption, send `device_keys` of your own.
    """
    device_keys = body.device_keys or [new_device_key() for _ in range(body.count or 0)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(device_key: str) -> Manufactured:
        async with turn:
            return await manufacture(resources.gateways, resources.hub, device_key)

    made = await asyncio.gather(*(one(device_key) for device_key in device_keys))
    return [ManufacturedGateway(**asdict(gateway)) for gateway in made]


def _account(account: Account) -> CustomerAccount:
    return CustomerAccount(
        user_id=account.user_id,
        username=account.username,
        servicebus_namespace=account.servicebus_namespace,
        queue=account.queue,
        api_keys=len(account.api_keys),
        people=len(account.members),
        created_at=account.created_at,
    )


def _gateway(gateway: Gateway) -> InventoryGateway:
    present = current(gateway)
    return InventoryGateway(
        device_id=gateway.device_id,
        type=gateway.type,
        manufactured_at=gateway.manufactured_at,
        user_id=present.user_id if present else "",
        name=present.device_name if present else "",
    )
