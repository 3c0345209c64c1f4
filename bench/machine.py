"""Which machine the figures are from."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

SDKS = ("azure-eventhub", "azure-servicebus", "azure-cosmos", "azure-storage-blob")


def describe() -> dict[str, str]:
    """Processor, cores, system, Python and the versions of the SDKs."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "SDKs": ", ".join(f"{name} {version(name)}" for name in SDKS),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
