"""The command line of the operator's tool."""

from dataclasses import asdict
from typing import Annotated

import typer

from services.api.logic import pairing
from services.api.logic.first_owner import ensure_owner
from services.api.logic.ids import new_device_key, new_user_id
from services.api.logic.manufacturing import manufacture
from services.api.operator.accounts import account_app, group_app, make_account
from services.api.operator.audit import audit_command
from services.api.operator.firmware import firmware_app
from services.api.operator.gateways import gateway_app
from services.api.operator.namespaces import namespace_app
from services.api.operator.output import print_fields
from services.api.operator.parked import parked_app
from services.api.operator.people import person_app
from services.api.operator.runner import AsJson, pairing_stores, run
from services.api.resources import Resources
from shared.database import CONTAINERS, provision

EXAMPLES = """
Settings come from the same MYMOTE_* environment variables as the services'. On one machine,
load them first from the file that `make run` writes.

A first account with one gateway, step by step:

    mymote-operator provision
    mymote-operator account create --username "Acme Ltd"
    mymote-operator person invite --user-id USER_ID
    mymote-operator gateway manufacture
    mymote-operator gateway pair --user-id USER_ID --name "Pump 3"

Every command can be repeated after an interruption, and takes --json for programs. Errors are
one sentence on stderr, and the exit status is 1 (2 for wrong usage or settings).
"""

app = typer.Typer(
    name="mymote-operator",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # its tracebacks print local variables, keys among them
    help="Run a MyMote platform: make accounts, invite their owners, manufacture gateways, pair "
    "them, see to what is parked." + EXAMPLES,
)
app.add_typer(account_app, name="account")
app.add_typer(group_app, name="group")
app.add_typer(namespace_app, name="namespace")
app.add_typer(gateway_app, name="gateway")
app.add_typer(firmware_app, name="firmware")
app.add_typer(parked_app, name="parked")
app.add_typer(person_app, name="person")
app.command("audit")(audit_command)


@app.command("provision")
def provision_command(as_json: AsJson = False) -> None:
    """Make the database and its containers, where they are missing."""

    async def work(resources: Resources) -> None:
        await provision(
            resources.azure.cosmos, resources.settings.cosmos_database, resources.settings.ttls
        )

    run(work, as_json=as_json)
    names = [spec.name for spec in CONTAINERS]
    print_fields({"containers": names}, as_json=as_json, said="The database is there.")


@app.command("quickstart")
def quickstart(
    username: Annotated[str, typer.Option(help="The account's name, and its owner's.")] = "demo",
    device_name: Annotated[str, typer.Option(help="The gateway's name.")] = "Demo",
    user_id: Annotated[str, typer.Option(help="Made up if absent.")] = "",
    device_key: Annotated[
        str, typer.Option(envvar="MYMOTE_DEVICE_KEY", help="Made up if absent.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """All of it at once: database, account, an owner who can sign in, one gateway, paired.

    Keys and the password are shown this once.

    Example: mymote-operator quickstart --username demo --device-name Demo --json
    """
    chosen, key = user_id or new_user_id(), device_key or new_device_key()

    async def work(resources: Resources) -> dict[str, object]:
        await provision(
            resources.azure.cosmos, resources.settings.cosmos_database, resources.settings.ttls
        )
        account = await make_account(resources, user_id=chosen, username=username)
        gateway = await manufacture(resources.gateways, resources.hub, key)
        request = pairing.PairingRequest(user_id=chosen, device_key=key, name=device_name)
        await pairing.pair(pairing_stores(resources), request)
        owner = await ensure_owner(resources.signing_in, chosen, username)
        return account.fields | asdict(owner) | asdict(gateway)

    print_fields(run(work, as_json=as_json), as_json=as_json, said="Ready.")
