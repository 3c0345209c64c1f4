"""`namespace` commands: how full the Service Bus namespaces of the settings are."""

from dataclasses import asdict

import typer

from services.api.logic.accounts import NamespaceUse, namespaces_in_use, recount_namespaces
from services.api.operator.output import print_rows
from services.api.operator.runner import AsJson, run

namespace_app = typer.Typer(
    no_args_is_help=True, help="Service Bus namespaces, over which accounts are spread."
)


@namespace_app.command("list")
def namespace_list(as_json: AsJson = False) -> None:
    """How many accounts each namespace has, and how many it takes."""
    _print(
        run(lambda resources: namespaces_in_use(resources.making_accounts), as_json=as_json),
        as_json,
    )


@namespace_app.command("recount")
def namespace_recount(as_json: AsJson = False) -> None:
    """Count the accounts of each namespace anew, where interrupted commands left it too high.

    Reads the index of all accounts. Accounts that are made at the same time may be left out.
    """
    _print(
        run(lambda resources: recount_namespaces(resources.making_accounts), as_json=as_json),
        as_json,
    )


def _print(uses: list[NamespaceUse], as_json: bool) -> None:
    print_rows([asdict(use) for use in uses], as_json=as_json, empty="")
