"""A deployment in trouble: load with a memory, a fault in its midst, how long until all is good again, and the judge."""

import asyncio
import time
from collections import Counter

from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop
from Tests.kontor_testing.running.services import Deployment
from Tests.kontor_testing.services_case import ServicesCase

# Of the load before a fault.
_MOST_ANSWERS = 400
# Short, so that an attempt from before all is good again does not hold up the one after.
_PROBE_MILLISECONDS = 300


class Troubled:
    """A deployment, its load with a memory, and orders that wait for being checked out."""

    def __init__(self, case: ServicesCase, deployment: Deployment):
        self.case = case
        self.deployment = deployment
        self.random = case.seeded_random()
        self.shop = Shop(deployment.client())
        # If the first copy's process dies, the second copy has 2.5 s.
        self.shop.history.contended_seconds = 2
        self.market = Market(self.shop, self.random)
        self.tally = Counter()
        self.seconds = {}
        # Of each fault by its name: how long it took until all was good again, each time.
        self.healing = {}
        # Of the last fault.
        self.seconds_to_first = None

    @staticmethod
    async def opened(case: ServicesCase, deployment: Deployment):
        troubled = Troubled(case, deployment)
        await troubled._open()
        return troubled

    async def _open(self):
        await self.market.open()
        self._items = [await self.shop.create_item(1, 1_000_000) for _ in range(16)]
        self._users = [await self.shop.create_user(100_000_000) for _ in range(16)]

    async def probes(self, count: int = 4) -> list:
        """Orders that nobody else wants to check out: of plenty, spread over what there is."""
        return [
            await self.shop.order_of(self.random.choice(self._users), {item: 1 for item in self.random.sample(self._items, 2)})
            for _ in range(count)]

    async def seconds_until_good(self, probes: list, since: float, patience: float = 30) -> float:
        """From then until each of these orders is paid, asked for again and again."""
        self.seconds_to_first = None

        async def until_paid(order: str):
            while True:
                outcome = await self.shop.checkout(order, timeout_milliseconds=_PROBE_MILLISECONDS)
                if outcome.status == 200:
                    self.seconds_to_first = self.seconds_to_first or time.monotonic() - since
                    return
                if time.monotonic() > since + patience:
                    raise AssertionError(f"the checkout of {order} has no good answer {patience} s later: {outcome}")
                await asyncio.sleep(0.02)

        await asyncio.gather(*map(until_paid, probes))
        return time.monotonic() - since

    async def judge(self, what: str):
        """Everything has come to its end within 5 s, as the client remembers it and as the stores have it."""
        try:
            await self.case.assert_judged_well(self.shop, only_recent=True)
        except AssertionError as error:
            # Whether what was read, or what is stored, is wrong.
            raise AssertionError(f"{error}\nkontor audit: {await self.deployment.clean_audit()}") from None
        await self.case.assert_clean_audit(self.deployment)
        self.tally[what] += 1

    async def round(self, name: str, fault, probes: int = 4) -> float:
        """Load, the fault in its midst, good answers again, the judge and the audit. `fault` returns since when good answers are
        waited for; the result is for how long."""
        orders = await self.probes(probes)
        self.case.assertNotIn(None, orders)
        await self.market.run_to_any_moment(_MOST_ANSWERS)
        try:
            seconds = await self.seconds_until_good(orders, await fault())
        finally:
            self.market.stop()
            await self.market.wait()
        self.seconds[name] = max(seconds, self.seconds.get(name, 0))
        self.healing.setdefault(name, []).append(seconds)
        await self.judge(name)
        return seconds

    def table(self) -> str:
        """The healing times, a line for each fault."""
        lines = [f"{'fault':34} {'times':>5} {'median':>7} {'p90':>7} {'slowest':>7}"]
        for name, found in sorted(self.healing.items()):
            found = sorted(found)
            figures = (found[len(found) // 2], found[len(found) * 9 // 10], found[-1])
            lines.append(f"{name:34} {len(found):5} " + " ".join(f"{seconds:6.2f}s" for seconds in figures))
        return "\n".join([*lines, f"{sum(map(len, self.healing.values()))} faults in all"])

    def report(self):
        slowest = {name: f"{seconds:.2f}" for name, seconds in self.seconds.items()}
        self.case.report(
            f"{dict(self.tally)}; slowest good answer in s: {slowest}; {self.shop.history.answers} answers: "
            f"{dict(self.shop.history.tally)}")
