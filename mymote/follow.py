"""`mymote notifications --follow`: what is new, looked for every few seconds.

Lists follow the time at which the cloud took a notification. Ingest's processes write side by
side, so one may come into the list below a newer one: each look goes back a little, and tells by
the ids what was shown already.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from mymote import output, text
from mymote.commands.notification import level_of
from mymote.failures import FAILED, Failure

if TYPE_CHECKING:
    from mymote.api import Api, Entity

LOOK_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
BACK = timedelta(seconds=60)
AT_FIRST = 200  # are read, so that what was there before is known
REMEMBERED = 20_000  # ids, and the most that one look shows


def notifications(api: "Api", query: dict[str, Any], limit: int, *, as_json: bool) -> None:
    """Print the last `limit`, and then new ones for ever, oldest first. Raises Failure."""
    first = list(api.each("listNotifications", query=query, limit=max(limit, AT_FIRST)))
    for each in reversed(first[:limit]):
        _show(each, as_json=as_json)
    if not as_json:
        output.note("Following; new ones are shown as they come. Ctrl-C ends.")
    seen = OrderedDict.fromkeys(each["id"] for each in reversed(first))
    newest = first[0]["enqueued_at"] if first else ""
    # Where there were more than were read, what lies below is old.
    oldest = first[-1]["enqueued_at"] if len(first) >= AT_FIRST else ""
    for found in _looks(api, query, newest):
        for each in reversed(found):
            if each["id"] not in seen and each["enqueued_at"] >= oldest:
                _show(each, as_json=as_json)
            seen[each["id"]] = None
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)


def _looks(api: "Api", query: dict[str, Any], newest: str) -> "Iterator[list[Entity]]":
    """What came lately, newest first, again and again; an api that is away is waited for."""
    pause = LOOK_SECONDS
    while True:
        time.sleep(pause)
        if newest:
            back = datetime.fromisoformat(newest) - BACK
            query = {**query, "since": back.isoformat()}
        try:
            found = list(islice(api.each("listNotifications", query=query), REMEMBERED))
        except Failure as failure:
            if failure.status != FAILED:
                raise
            output.note(f"{failure} Trying again.")
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            continue
        pause = LOOK_SECONDS
        newest = max([newest, *(each["enqueued_at"] for each in found[:1])])
        yield found


def _show(notification: "Entity", *, as_json: bool) -> None:
    if as_json:
        output.json_line(notification)
        return
    moment = text.moment(notification["enqueued_at"])
    name = text.line(notification["device_name"])
    level = text.coloured(f"{level_of(notification):<7}")
    print(f"{moment}  {level}  {name}: {text.line(notification['text'])}", flush=True)
