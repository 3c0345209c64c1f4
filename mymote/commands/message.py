"""`mymote message …`: user messages to a gateway, and what became of them."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.failures import Failure, usage
from mymote.options import AsJson, Device, Everything, Limit, Yes, agreed, bound, seconds
from mymote.output import Column

if TYPE_CHECKING:
    from mymote.api import Api

app = typer.Typer(no_args_is_help=True, help="User messages to a gateway, and what became of them.")


class State(StrEnum):
    """How far a user message is; open is waiting or sent."""

    OPEN = "open"
    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


MESSAGES = (
    Column("MESSAGE ID", "id", keep=True),
    Column("STATE", "state"),
    Column("CREATED", output.time_of("created_at")),
    Column("REASON", "reason", cut=8),
    Column("EXPIRES", output.time_of("expires_at")),
)
UNDECIDED = ("waiting", "sent")
POLL_SECONDS = 1.0

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="As `message list` shows it.")]


@app.command("send")
def send(
    context: typer.Context,
    device: Device,
    message: Annotated[
        str,
        typer.Argument(metavar="JSON", help="Such as '{\"setpoint\": 21.5}'; - is stdin."),
    ] = "",
    *,
    text: Annotated[str, typer.Option(help="Send this text, as a JSON string.")] = "",
    file: Annotated[str, typer.Option(metavar="FILE", help="Send the JSON of this file.")] = "",
    expires: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Give up after so long, 7d at most: 90s, 15m, 12h."),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the gateway has it, or it is given up.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a user message to a gateway; it is kept until the gateway has it or it expires.

    Example: mymote message send Pump '{"setpoint": 21.5}' --expires 12h --wait
    """
    from mymote.api import Body, entity  # noqa: PLC0415

    body = Body(_content(message, text, file), "application/json")
    query = {"expires_in": seconds(expires, "--expires")} if expires else None
    with calling(context) as api:
        device_id = names.device_id(api, device)
        response = api.order("sendUserMessage", deviceid=device_id, query=query, body=body)
        message_id = response.headers.get("Location", "").rpartition("/")[2]
        if not wait:
            said = f"Queued for {device_id}: message {message_id}"
            output.done({**entity(response), "id": message_id}, said, as_json=as_json)
            return
        found = _settled(api, device_id, message_id)
    output.shown(found, as_json=as_json)
    if found["state"] != "delivered":
        raise Failure(f"The message was not delivered: {found['state']}.")


@app.command("list")
def list_messages(
    context: typer.Context,
    device: Device,
    *,
    state: Annotated[State | None, typer.Option(help="In this state only.")] = None,
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """User messages to a gateway and the state of each.

    Example: mymote message list Pump --state open
    """
    with calling(context) as api:
        most = bound(limit, everything)
        device_id = names.device_id(api, device)
        query = {"state": state.value if state else ""}
        found = api.each("listUserMessages", deviceid=device_id, query=query, limit=most)
        output.listed(found, MESSAGES, "No messages to it.", most, as_json=as_json)


@app.command("show")
def show(
    context: typer.Context, device: Device, message_id: MessageId, as_json: AsJson = False
) -> None:
    """One user message, with its body and state."""
    with calling(context) as api:
        device_id = names.device_id(api, device)
        found = api.call("getUserMessage", deviceid=device_id, messageid=message_id)
    output.shown(found, as_json=as_json)


@app.command("cancel")
def cancel(
    context: typer.Context,
    device: Device,
    message_id: MessageId,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Withdraw a user message that the gateway does not have yet."""
    with calling(context) as api:
        device_id = names.device_id(api, device)
        agreed(f"Cancel message {message_id}?", yes)
        reply = api.call("cancelUserMessage", deviceid=device_id, messageid=message_id)
    output.done(reply, "Cancelled.", as_json=as_json)


def _settled(api: "Api", device_id: str, message_id: str) -> dict[str, Any]:
    output.note("Waiting for the gateway; Ctrl-C ends the waiting, not the message.")
    while True:
        found: dict[str, Any] = api.call("getUserMessage", deviceid=device_id, messageid=message_id)
        if found["state"] not in UNDECIDED:
            return found
        time.sleep(POLL_SECONDS)


def _content(message: str, text: str, file: str) -> bytes:
    if sum(map(bool, (message, text, file))) != 1:
        raise usage("Give the message as JSON, or --text, or --file; - reads it from stdin.")
    if text:
        return json.dumps(text, ensure_ascii=False).encode()
    try:
        if message == "-":
            content = typer.get_binary_stream("stdin").read()
        else:
            content = Path(file).read_bytes() if file else message.encode()
        json.loads(content)
    except OSError as error:
        raise usage(f"{file} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise usage("The message is no JSON; --text TEXT sends a text as it is.") from None
    return content
