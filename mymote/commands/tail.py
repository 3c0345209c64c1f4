"""`mymote tail`: what arrives on the account's queue.

A message is taken off the queue only once it is printed; --peek takes none.
"""

import os
from typing import Annotated

import typer

from mymote import output
from mymote.calling import calling
from mymote.failures import UNAUTHORIZED, Failure, usage
from mymote.options import AsJson

CONNECTION = "MYMOTE_QUEUE_CONNECTION_STRING"


def tail(
    context: typer.Context,
    *,
    peek: Annotated[
        bool, typer.Option("--peek", help="Take no message off the queue: others receive it too.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing more waits, and do not go on.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="End after so many; 0 never does.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show the data of your gateways as it arrives on the account's queue; Ctrl-C ends.

    Each message is taken off the queue once it is shown, so that no other program receives it;
    with --peek all stay. The connection string comes from the api, for keys with the scope admin;
    or else from MYMOTE_QUEUE_CONNECTION_STRING.
    """
    from mymote import queue  # noqa: PLC0415 - the SDK takes a third of a second

    connection, ca_file = os.environ.get(CONNECTION, ""), os.environ.get("MYMOTE_CA_FILE", "")
    if not connection:
        with calling(context) as api:
            connection, ca_file = api.call("getQueue")["connection_string"], api.place.ca_file
    if not connection:
        raise Failure(
            "Whoever calls may not see the queue's connection string, which needs the scope "
            f"'admin'. Sign in with such a key, or set {CONNECTION}.",
            UNAUTHORIZED,
        )
    name = queue.name_of(connection)
    if not name:
        raise usage("No queue's connection string, which ends in ;EntityPath=…: copy it whole.")
    if not as_json:
        how = "all stay there" if peek else "each is taken off once it is shown"
        output.note(f"Messages on {name}; {how}. Ctrl-C ends.")
    reading = queue.Reading(connection, name, ca_file, limit=limit, once=once, as_json=as_json)
    if peek:
        queue.peeked(reading)
    else:
        queue.taken(reading)
