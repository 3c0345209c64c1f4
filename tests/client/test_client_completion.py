"""Completion in the shell: what the account has; nothing, and silently, where nobody answers."""

from dataclasses import replace
from pathlib import Path

from services.api.logic.manufacturing import Manufactured
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.client.command_line import CommandLine, of
from tests.free_ports import free_ports


async def complete(mymote: CommandLine, *words: str) -> list[str]:
    asked = {
        "_MYMOTE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("mymote", *words)),
        "COMP_CWORD": str(len(words)),
    }
    ran = await replace(mymote, environment={**mymote.environment, **asked})()
    assert ran.errors == ""
    return ran.output.split()


async def test_devices_and_commands(
    stack: LocalStack, alice: Customer, pump: Manufactured, tmp_path: Path
) -> None:
    mymote = of(stack, alice, tmp_path)
    assert "show" in await complete(mymote, "device", "sh")
    assert await complete(mymote, "device", "show", "X400_") == [pump.device_id]
    assert await complete(mymote, "device", "show", "Pu") == ["Pump"]
    (port,) = free_ports(1)
    away = replace(
        mymote, environment={**mymote.environment, "MYMOTE_URL": f"http://127.0.0.1:{port}"}
    )
    assert await complete(away, "device", "show", "Pu") == []
    assert await complete(CommandLine(tmp_path), "device", "show", "Pu") == []
