"""`kill -9` and pauses of each process of a deployment under load, and rolling restarts (P1, P2, P5, P6)."""

import asyncio
import time
from collections import Counter

from market import Market
from processes import ManagedProcess
from services import Deployment
from services_case import FAULTS, SETTLING_SECONDS, ServicesCase
from shop import Shop

# A service or the gateway: from its start to the first good answers of all kinds. A store first reads what it has.
_FIRST_ANSWER_SECONDS = 2
_STORE_ANSWER_SECONDS = 5
# Longer and shorter than a lease (2 s).
_PAUSE_SECONDS = (0.3, 3.0)
_MOST_ANSWERS = 400


class Troubled:
    """A deployment, its load with a memory, and orders that wait for being checked out."""

    def __init__(self, case: ServicesCase, deployment: Deployment):
        self.case = case
        self.deployment = deployment
        self.random = case.seeded_random()
        self.shop = Shop(deployment.client())
        self.market = Market(self.shop, self.random)
        self.tally = Counter()
        self.seconds = {}

    async def open(self):
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
        async def until_paid(order: str):
            while True:
                outcome = await self.shop.checkout(order, timeout_milliseconds=1_000)
                if outcome.status == 200:
                    return
                if time.monotonic() > since + patience:
                    raise AssertionError(f"the checkout of {order} has no good answer {patience} s later: {outcome}")
                await asyncio.sleep(0.02)

        await asyncio.gather(*map(until_paid, probes))
        return time.monotonic() - since

    async def judge(self, what: str):
        """Everything has come to its end within 5 s, as the client remembers it and as the stores have it."""
        # The shop's open checkouts first: the judge itself waits for those that were not answered.
        await self.case.assert_judged_well(self.shop, only_recent=True)
        await self.case.assert_clean_audit(self.deployment)
        self.tally[what] += 1

    def report(self):
        slowest = {name: f"{seconds:.2f}" for name, seconds in self.seconds.items()}
        self.case.report(
            f"{dict(self.tally)}; slowest good answer in s: {slowest}; {self.shop.history.answers} answers: "
            f"{dict(self.shop.history.tally)}")


class ServiceKillTests(ServicesCase):
    async def _troubled(self, **options) -> Troubled:
        troubled = Troubled(self, await self.started_deployment(**options))
        await troubled.open()
        return troubled

    async def _round(self, troubled: Troubled, victim: ManagedProcess, fault):
        probes = await troubled.probes()
        self.assertNotIn(None, probes)
        await troubled.market.run_to_any_moment(_MOST_ANSWERS)
        since = await fault(troubled, victim)
        seconds = await troubled.seconds_until_good(probes, since)
        name = f"{fault.__name__} {victim}"
        troubled.seconds[name] = max(seconds, troubled.seconds.get(name, 0))
        troubled.market.stop()
        await troubled.market.wait()
        await troubled.judge(name)
        return seconds

    async def killed(self, troubled: Troubled, victim: ManagedProcess) -> float:
        """Killed, and at once started again."""
        victim.kill()
        victim.spawn()
        return victim.started

    async def paused(self, troubled: Troubled, victim: ManagedProcess) -> float:
        await victim.freeze()
        await asyncio.sleep(troubled.random.uniform(*_PAUSE_SECONDS))
        victim.resume()
        return time.monotonic()

    async def test_nothing_is_lost_or_done_twice_when_any_process_is_killed(self):
        """Each of order, payment, stock, their stores, the gateway: load, kill -9, restart, good answers in time, judge, audit."""
        troubled = await self._troubled()
        try:
            for _ in range(FAULTS):
                for victim in troubled.deployment.processes:
                    seconds = await self._round(troubled, victim, self.killed)
                    is_store = victim in troubled.deployment.redis_servers
                    self.assertLess(
                        seconds, _STORE_ANSWER_SECONDS if is_store else _FIRST_ANSWER_SECONDS, f"after the kill of {victim}")
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()

    async def test_nothing_is_lost_or_done_twice_when_any_process_is_paused(self):
        """The same with SIGSTOP and SIGCONT, for less and for more than a lease."""
        troubled = await self._troubled()
        try:
            for _ in range(FAULTS):
                for victim in troubled.deployment.processes:
                    seconds = await self._round(troubled, victim, self.paused)
                    self.assertLess(seconds, SETTLING_SECONDS, f"after the pause of {victim}")
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()

    async def test_nothing_is_lost_or_done_twice_when_a_replica_of_two_is_killed_or_paused(self):
        """The other one takes over meanwhile: good answers come while it is away."""
        troubled = await self._troubled(replicas=2)
        try:
            for _ in range(FAULTS):
                for replicas in troubled.deployment.replicas.values():
                    victim = troubled.random.choice(replicas)
                    await self._round(troubled, victim, self.away_killed)
                    await victim.start()
                    victim = troubled.random.choice(replicas)
                    await self._round(troubled, victim, self.away_paused)
                    victim.resume()
                    await self.assert_judged_well(troubled.shop, only_recent=True)
                    await self.assert_clean_audit(troubled.deployment)
            for name, seconds in troubled.seconds.items():
                self.assertLess(seconds, SETTLING_SECONDS, name)
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()

    async def away_killed(self, troubled: Troubled, victim: ManagedProcess) -> float:
        victim.kill()
        return time.monotonic()

    async def away_paused(self, troubled: Troubled, victim: ManagedProcess) -> float:
        await victim.freeze()
        return time.monotonic()
