"""Pages of an account's list of devices: alone, and in a platform of ten times as many."""

import time
from dataclasses import dataclass
from statistics import median

import httpx

from services.api.resources import Resources
from tests.api.customers import Customer, new_customer
from tests.load.devices import PAGE, Page, Say, charge_of, load_devices, pages_of

OF_THE_ACCOUNT = 10_000
OF_ANOTHER = 1_000
REPEATS = 15
REPEATS_OF_LONG_ONES = 4


@dataclass(frozen=True)
class PageCost:
    """Request units of one page, and milliseconds of the call that answers with it."""

    page: str
    meaning: str
    charge_alone: float | None  # None where many pages are read
    charge_among: float | None
    ms_alone: float
    ms_among: float

    @property
    def charge_ratio(self) -> float | None:
        if self.charge_alone is None or self.charge_among is None:
            return None
        return self.charge_among / self.charge_alone

    @property
    def ms_ratio(self) -> float:
        return self.ms_among / self.ms_alone


@dataclass(frozen=True)
class DevicePages:
    """What was measured of an account in a platform."""

    devices: int
    platform: int
    costs: list[PageCost]


@dataclass(frozen=True)
class _Measured:
    charge: float | None
    ms: float


async def measure_pages(resources: Resources, api_url: str, platform: int, say: Say) -> DevicePages:
    """Load an account, measure; load the rest of the platform, measure again."""
    customer = await new_customer(resources)
    say(f"loading {OF_THE_ACCOUNT:,} devices of one account ...")
    await load_devices(resources, customer.user_id, OF_THE_ACCOUNT, say)
    pages = await pages_of(resources, customer.user_id, OF_THE_ACCOUNT)
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as client:
        bench = _Bench(resources, client, customer, pages)
        say("measuring it alone ...")
        alone = await bench.measure()
        others = (platform - OF_THE_ACCOUNT) // OF_ANOTHER
        say(f"loading {others} accounts of {OF_ANOTHER:,} devices ...")
        for number in range(others):
            await load_devices(resources, f"other-{number}", OF_ANOTHER)
            if number % 10 == 9:
                say(f"{OF_THE_ACCOUNT + (number + 1) * OF_ANOTHER:,} devices in all")
        say("measuring it among them ...")
        among = await bench.measure()
    costs = [
        PageCost(
            name, meaning, alone[name].charge, among[name].charge, alone[name].ms, among[name].ms
        )
        for name, meaning in bench.names()
    ]
    return DevicePages(OF_THE_ACCOUNT, OF_THE_ACCOUNT + others * OF_ANOTHER, costs)


@dataclass(frozen=True)
class _Bench:
    resources: Resources
    client: httpx.AsyncClient
    customer: Customer
    pages: list[Page]

    def names(self) -> list[tuple[str, str]]:
        return [
            *((each.name, each.meaning) for each in self.pages),
            ("all", "the contract's plain list of all of them"),
        ]

    async def measure(self) -> dict[str, _Measured]:
        measured = {}
        for page in self.pages:
            charge = await charge_of(self.resources, self.customer.user_id, page)
            repeats = REPEATS_OF_LONG_ONES if page.name == "rare" else REPEATS
            measured[page.name] = _Measured(charge, await self._ms(_query(page), repeats))
        measured["all"] = _Measured(None, await self._ms({}, REPEATS_OF_LONG_ONES))
        return measured

    async def _ms(self, query: dict[str, str], repeats: int) -> float:
        """The median; the first call is not counted, since the local database may begin an
        index at it."""
        taken = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            reply = await self.client.get(f"{self.customer.base}/devices", params=query)
            reply.raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
        return median(taken[1:])


def _query(page: Page) -> dict[str, str]:
    wanted = page.wanted
    query = {
        "limit": str(PAGE),
        "search": wanted.search,
        "status": wanted.status,
        "group": wanted.group_id,
        "cursor": page.cursor,
    }
    return {name: value for name, value in query.items() if value}
