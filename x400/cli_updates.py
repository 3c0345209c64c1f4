"""The commands of `python -m x400` about updates: what shall go wrong, and how far they are."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from x400.console import DEFAULT_STATE, Device, State, call, out
from x400.faults import DEFAULT_CUT, Fault

NAMES = ", ".join(Fault)


def fault(
    name: Annotated[
        str, typer.Argument(help=f"{NAMES}; `off`: nothing goes wrong any more; `show`.")
    ],
    at: Annotated[
        int | None, typer.Option(help=f"Percent, of cut-download; {DEFAULT_CUT} if not given.")
    ] = None,
    times: Annotated[
        int | None,
        typer.Option(
            help="How often; if not given: cut-download and power-loss once, the others until off."
        ),
    ] = None,
    state: State = DEFAULT_STATE,
    device: Device = None,
) -> None:
    """Let updates go wrong, to see what becomes of them."""
    answer = call(state, "fault", device, name=name, at=at, times=times)
    out.print(f"Faults: {_faults(answer['faults'])}.", soft_wrap=True)


def update_rows(answer: dict[str, Any]) -> dict[str, str]:
    """Rows for `status`."""
    rows = {"Firmware": answer["fwversion"]}
    for name, update in answer["updates"].items():
        percent = f" {update['percent']} %" if update["state"] == "downloading" else ""
        why = f": {update['error']}" if update["error"] else ""
        kind = name.removeprefix("ota_").capitalize()
        rows[f"{kind} update"] = f"{update['state']}{percent}, job {update['job']}{why}"
    if answer["faults"]:
        rows["Faults"] = _faults(answer["faults"])
    return rows


def _faults(faults: dict[str, Any]) -> str:
    return ", ".join(_fault(name, armed) for name, armed in faults.items()) or "none"


def _fault(name: str, armed: dict[str, Any]) -> str:
    at = f" at {armed['at']} %" if name == Fault.CUT_DOWNLOAD else ""
    times = armed["times"]
    often = "until switched off" if times is None else "once" if times == 1 else f"{times} times"
    return f"{escape(name)}{at} ({often})"
