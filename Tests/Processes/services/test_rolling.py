"""Two replicas of each service, killed or restarted one after the other under load: nearly nobody notices (P6)."""

import asyncio
import time
from collections import Counter

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.running.services import Deployment
from Tests.kontor_testing.services_case import FAULTS, ServicesCase

_SECONDS = 20 if FAULTS == 1 else 60
_KILL_EVERY_SECONDS = 2
_CLIENTS = 24
_ITEMS, _USERS = 10_000, 10_000
_LEAST_GOOD = 0.999
_DEADLINE_SECONDS = 5


class Buyers:
    """Clients that check out the orders 0, 1, ... each once, and count what they are told within the deadline."""

    def __init__(self, client: Client):
        self._client = client
        self._next = 0
        self._is_stopped = False
        self.tally = Counter()
        self.bad = []
        self.slowest_seconds = 0

    async def run(self):
        await asyncio.gather(*(self._buy() for _ in range(_CLIENTS)))

    def stop(self):
        self._is_stopped = True

    async def _buy(self):
        while not self._is_stopped:
            order, self._next = self._next, self._next + 1
            started = time.monotonic()
            outcome = await self._client.post(f"/orders/checkout/{order}")
            seconds = time.monotonic() - started
            self.slowest_seconds = max(seconds, self.slowest_seconds)
            self.tally[outcome.problem or outcome.status if isinstance(outcome, Answer) else "unanswered"] += 1
            if outcome.status not in (200, 409) or seconds > _DEADLINE_SECONDS:
                self.bad.append(f"order {order} after {seconds:.2f} s: {outcome}")

    @property
    def sent(self) -> int:
        return sum(self.tally.values())


class RollingTests(ServicesCase):
    async def _under_load(self, trouble) -> tuple:
        """The buyers, and the deployment, after `trouble` has come over it. The books balance."""
        shop = await self.started_deployment(replicas=2)
        orders = 3_000 * (_SECONDS + 10)
        batch = Batch(shop.client(), _ITEMS, _USERS, orders)
        for outcome in await batch.initialize():
            self.assertEqual(outcome.status, 200, str(outcome))
        buyers = Buyers(shop.client(_CLIENTS))
        load = asyncio.create_task(buyers.run())
        try:
            await trouble(shop)
        finally:
            buyers.stop()
            await load
        self.assertLessEqual(buyers.sent, orders, "there were too few orders for the load")
        self.report(
            f"{buyers.sent} checkouts, {len(buyers.bad)} not answered well within {_DEADLINE_SECONDS} s; slowest "
            f"{buyers.slowest_seconds:.2f} s; {dict(buyers.tally)}")
        await self.assert_clean_audit(shop)
        return buyers, shop

    async def test_a_kill_every_2_s_leaves_999_of_1000_checkouts_answered_well(self):
        random = self.seeded_random()

        async def kills(shop: Deployment):
            end = time.monotonic() + _SECONDS
            victims = []
            while time.monotonic() < end:
                # Each once before any of them again, in an order that differs.
                victims = victims or random.sample(shop.services, len(shop.services))
                victim = victims.pop()
                victim.kill()
                victim.spawn()
                await asyncio.sleep(_KILL_EVERY_SECONDS)

        buyers, _ = await self._under_load(kills)
        self.assertLessEqual(len(buyers.bad), (1 - _LEAST_GOOD) * buyers.sent, "\n".join(buyers.bad[:20]))

    async def test_a_rolling_restart_fails_no_checkout(self):
        """SIGTERM, and the next one once it is ready, twice over."""
        async def restarts(shop: Deployment):
            for service in shop.services * 2:
                self.assertEqual(await service.terminate(), 0, service.log())
                await service.start()

        buyers, _ = await self._under_load(restarts)
        self.assertEqual(buyers.bad, [], "\n".join(buyers.bad[:20]))
