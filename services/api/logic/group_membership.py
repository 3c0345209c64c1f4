"""Putting a device into a group that somebody may be deleting.

Container `groups` and container `devices` share no transaction. So a device's entry first says
in `joining` where it goes; then the group is looked at; then the device is in it. Whoever deletes
a group first marks it, then looks who is in it or joining, and deletes it under the ETag of the
mark. Then either the one sees the other's entry, or the other sees the mark and takes it back,
and the deletion begins anew. Whoever is killed at any point leaves a `joining` that nobody
shows and the next deletion removes, or a mark that the next who joins removes; never a device in
a group that is gone.
"""

from services.api.logic.ids import check_group_id
from services.api.logic.pairing_truth import ATTEMPTS
from services.api.store.groups import Groups
from shared.errors import Conflict, NotFound
from shared.schemas.documents import GroupDocument


class NoSuchGroup(NotFound):
    """The one answer for a group that does not exist and for another account's."""


def no_such_group() -> NoSuchGroup:
    """With its sentence."""
    return NoSuchGroup("This account has no group of this id; GET .../groups lists those it has.")


def contended() -> Conflict:
    """What is said after ATTEMPTS."""
    return Conflict("The group is being changed by others at the same time; try again.")


async def get_group(groups: Groups, user_id: str, group_id: str) -> GroupDocument:
    """Raises InvalidRequest for what is no id, and NoSuchGroup."""
    group = await groups.get(user_id, check_group_id(group_id))
    if group is None:
        raise no_such_group()
    return group


async def hold_open(groups: Groups, user_id: str, group_id: str) -> bool:
    """Whether the group is there for a device that says that it is joining.

    Raises Conflict, Unavailable.
    """
    for _ in range(ATTEMPTS):
        found = await groups.get_with_etag(user_id, group_id)
        if found is None:
            return False
        group, etag = found
        if not group.deleting:
            return True
        if await groups.replace(group.model_copy(update={"deleting": False}), etag):
            return True
    raise contended()
