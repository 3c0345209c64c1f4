"""Groups: making, editing, deleting them."""

from typing import Annotated

from fastapi import Query, Request, Response

from services.api.entities.groups import GroupEdit, NewGroup
from services.api.logic import groups, views
from services.api.logic.group_membership import get_group
from services.api.logic.groups import GroupChanges
from services.api.logic.ids import check_group_id
from services.api.routes.dependencies import Caller, GroupId, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.idempotency import Idempotent
from services.api.routes.location import set_location
from services.api.routes.pairing_stores import PairingStores
from services.api.routes.router import customer_router
from shared.schemas.contract import Group, Result

router = customer_router("groups")

MoveTo = Annotated[
    str | None,
    Query(
        max_length=64,
        description='The `id` of the group that the devices go to; "" leaves them in none.',
    ),
]


@router.post(
    "/groups",
    operation_id="createGroup",
    summary="Make a group",
    status_code=201,
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
)
async def create_group(
    request: Request,
    response: Response,
    *,
    stores: PairingStores,
    caller: Caller,
    order_id: Idempotent,
    body: NewGroup,
) -> Group:
    """An account has 1,000 groups at most. Two may have the same name."""
    wanted = GroupChanges(**body.model_dump())
    group = await groups.create(stores, caller.user_id, order_id, wanted)
    set_location(request, response, f"/groups/{group.id}")
    set_etag(response, groups.tag(group))
    return views.group(group)


@router.get(
    "/groups/{groupid}",
    operation_id="getGroup",
    summary="One group",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_group(
    response: Response, resources: Opened, caller: Caller, group_id: GroupId
) -> Group:
    """With its ETag, for editing it."""
    group = await get_group(resources.groups, caller.user_id, group_id)
    set_etag(response, groups.tag(group))
    return views.group(group)


@router.patch(
    "/groups/{groupid}",
    operation_id="updateGroup",
    summary="Edit a group",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503),
)
async def update_group(
    response: Response,
    *,
    stores: PairingStores,
    caller: Caller,
    group_id: GroupId,
    if_match: IfMatch,
    body: GroupEdit,
) -> Group:
    """The group after the change."""
    wanted = GroupChanges(**body.model_dump(exclude_unset=True))
    group = await groups.update(stores, caller.user_id, group_id, wanted, if_match)
    set_etag(response, groups.tag(group))
    return views.group(group)


@router.delete(
    "/groups/{groupid}",
    operation_id="deleteGroup",
    summary="Delete a group",
    responses=refusals(400, 401, 403, 404, 409, 412, 429, 503),
)
async def delete_group(
    resources: Opened,
    *,
    stores: PairingStores,
    caller: Caller,
    group_id: GroupId,
    if_match: IfMatch,
    move_to: MoveTo = None,
) -> Result:
    """Refused while devices are in it (409 with how many), unless `move_to` says where they go.

    One call moves devices for 20 seconds; where some are left then, a 409 says how many, and
    repeating the call goes on.
    """
    await groups.delete(
        stores,
        resources.group_members,
        user_id=caller.user_id,
        group_id=group_id,
        move_to=check_group_id(move_to) if move_to else move_to,
        if_match=if_match,
    )
    return Result(result="deleted")
