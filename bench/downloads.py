"""One firmware for many gateways at once, beside as many readers of its blob with the SDK."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from bench.costs import Unfinished
from bench.downloader import Reading, Took
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.resources import Resources, open_resources
from services.ota.settings import OtaSettings
from stack.environment import ota_environment
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.load.devices import Say
from tests.load.fleet import make_member
from tests.load.process import cpu_seconds, memory_mib
from tests.ota.served_files import Ordered, Served, order, serve_firmware

GATEWAYS = 200
FIRMWARE_BYTES = 1024 * 1024
PASSES = 3
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Speed:
    """How fast all of them had the file, the best of a few passes."""

    reader: str
    seconds: float
    mib_per_second: float
    ratio: float  # to the SDK's
    service_cpu_ms: float | None  # of the OTA service for each download


@dataclass(frozen=True)
class Downloads:
    """What was measured. Memory is the OTA service's, resident, in MiB."""

    gateways: int
    file_bytes: int
    speeds: list[Speed]
    memory_before: float
    memory_peak: float


async def measure_downloads(stack: LocalStack, api: ApiResources, say: Say) -> Downloads:
    """Three kinds of readers, in turn. Raises Unfinished where one did not get the file."""
    async with open_resources(_settings(stack)) as ota:
        say(f"making {GATEWAYS} gateways, and a job for each ...")
        served = await serve_firmware(ota, hashlib.shake_256(b"bench").digest(FIRMWARE_BYTES))
        ordered = await _orders(api, ota, served)
    return await _Bench(stack, served, ordered).measure(say)


async def _orders(api: ApiResources, ota: Resources, served: Served) -> list[Ordered]:
    member = await make_member(api, GATEWAYS)
    owner = Customer(member.user_id, "", "")
    made = []
    for device_id in member.device_ids:
        device = await api.devices.get(owner.user_id, device_id)
        if device is None:
            raise Unfinished("a gateway that was made is not there")
        gateway = Manufactured(device_id, device.device_key, "")
        made.append(await order(api, ota, served, owner, gateway))
    return made


@dataclass
class _Bench:
    stack: LocalStack
    served: Served
    ordered: list[Ordered]
    peak: float = 0.0

    async def measure(self, say: Say) -> Downloads:
        pid = self.stack.processes["ota"].pid
        await _read(self._by_key(1))  # whoever comes first pays for imports and connections
        await _read(self._by_ticket(1))
        before = memory_mib(pid)
        took: dict[str, list[tuple[Took, float]]] = {}
        async with self._watching(pid):
            for number in range(PASSES):
                for reader, reading in (
                    ("the SDK, from the blob", self._sdk()),
                    ("gateways, by key", self._by_key(GATEWAYS)),
                    ("gateways, by ticket and proof", self._by_ticket(GATEWAYS)),
                ):
                    say(f"{reader}: pass {number + 1} of {PASSES} ...")
                    cpu = cpu_seconds(pid)
                    one = await _read(reading)
                    took.setdefault(reader, []).append((one, cpu_seconds(pid) - cpu))
        best = {name: min(each.seconds for each, _ in passes) for name, passes in took.items()}
        sdk = next(iter(best.values()))
        speeds = [
            Speed(
                reader=name,
                seconds=seconds,
                mib_per_second=GATEWAYS * FIRMWARE_BYTES / 1024**2 / seconds,
                ratio=sdk / seconds,
                service_cpu_ms=min(cpu for _, cpu in took[name]) / GATEWAYS * 1000
                if name.startswith("gateways")
                else None,
            )
            for name, seconds in best.items()
        ]
        return Downloads(GATEWAYS, FIRMWARE_BYTES, speeds, before, self.peak)

    @asynccontextmanager
    async def _watching(self, pid: int) -> AsyncIterator[None]:
        async def watch() -> None:
            while True:
                self.peak = max(self.peak, memory_mib(pid))
                await asyncio.sleep(SAMPLE_SECONDS)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    def _sdk(self) -> Reading:
        return Reading(
            self.served.sha256,
            [],
            blob=self.stack.endpoints.blob,
            container="artifacts",
            name=self.served.filepath,
            at_once=GATEWAYS,
        )

    def _by_key(self, count: int) -> Reading:
        url = f"{self.stack.endpoints.ota_url}{self.served.path}"
        return Reading(self.served.sha256, [(url, {"X-Download-Key": self.served.key})] * count)

    def _by_ticket(self, count: int) -> Reading:
        base = self.stack.endpoints.ota_url
        requests = [
            (f"{base}{each.path}?ticket={each.ticket}", each.headers())
            for each in self.ordered[:count]
        ]
        return Reading(self.served.sha256, requests)


async def _read(reading: Reading) -> Took:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.downloader",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(reading)).encode())
    if process.returncode:
        raise Unfinished("a reader did not get the file")
    return Took(**json.loads(output))


def _settings(stack: LocalStack) -> OtaSettings:
    environment = stack.service_environment | ota_environment(stack.endpoints)
    values: dict[str, object] = {
        name.removeprefix("MYMOTE_").lower(): value for name, value in environment.items()
    }
    for name in ("servicebus_namespaces", "ota_signing_keys"):
        values[name] = json.loads(str(values[name]))
    known = {name: value for name, value in values.items() if name in OtaSettings.model_fields}
    return OtaSettings.model_validate(known)
