"""`kill -9` at random moments under a mixed load, with a restart on the same directory each time (P1, P2, P5)."""

import asyncio
import contextlib
import os
import time
from collections import Counter

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop

ROUNDS = int(os.environ.get("KONTOR_KILLS", 30))
# What design.md promises.
_FIRST_ANSWER_SECONDS = 2
_CHECKOUT_ENDS_SECONDS = 5


class KillTests(ServerCase):
    async def test_nothing_is_lost_or_done_twice_when_the_server_is_killed_under_load(self):
        """30 times (or KONTOR_KILLS): load, kill -9, restart (at times killed again while it recovers), repeat what was not
        answered, judge."""
        self.require("strace")
        self.random = self.seeded_random()
        self.server = await self.started_server()
        self.shop = Shop(self.server.client())
        self.market = Market(self.shop, self.random)
        self.batch = Batch(self.shop.client, items=10_000, users=10_000, orders=100_000)
        self.tally = Counter()
        self.slowest_start = 0
        await self.market.open()
        try:
            for number in range(ROUNDS):
                await self._round(with_batch=number % 4 == 3, with_slow_syncs=number % 4 == 1)
            await self.assert_judged_well(self.shop)
        finally:
            self.report(
                f"slowest first answer {self.slowest_start:.2f} s; {dict(self.tally)}; "
                f"{self.shop.history.answers} answers: {dict(self.shop.history.tally)}")

    async def _round(self, with_batch: bool, with_slow_syncs: bool):
        async with self._syncs(with_slow_syncs):
            await self._load_until_killed(with_batch)
        for _ in range(self.random.choice((0, 0, 1, 2))):
            await self._kill_while_it_recovers()
        await self.server.start()
        recovered_at = time.monotonic()
        self.slowest_start = max(self.slowest_start, self.server.seconds_to_first_answer)
        self.assertLess(self.server.seconds_to_first_answer, _FIRST_ANSWER_SECONDS)
        if self.random.random() < 0.5:
            # At once, so that they join what recovery goes on with.
            await self._repeat_unanswered_checkouts()
            self.assertLess(time.monotonic() - recovered_at, _CHECKOUT_ENDS_SECONDS, "some repeated checkout ended late")
        await self.assert_judged_well(self.shop, only_recent=True)
        await self.assert_clean_audit(self.server)
        if with_batch:
            await self._complete_batch()

    def _syncs(self, are_slow: bool):
        """With slow ones, much more is done and not answered when the process is killed."""
        return injected(self.server.pid, "delay_enter=30000") if are_slow else contextlib.nullcontext()

    async def _load_until_killed(self, with_batch: bool):
        batch = asyncio.create_task(self.batch.initialize()) if with_batch else None
        await self.market.run_to_any_moment(most_answers=1_500)
        self.server.kill()
        self.tally["kills"] += 1
        await self.market.wait()
        if batch:
            outcomes = await batch
            self.tally["batches interrupted"] += any(outcome.status is None for outcome in outcomes)
        for order in self.shop.history.orders.values():
            self.tally["unanswered checkouts"] += bool(order.unknown_attempts)

    async def _kill_while_it_recovers(self):
        """Anywhere between the start of the process and some time after it serves."""
        self.server.spawn()
        await asyncio.sleep(self.random.uniform(0, 0.15))
        self.server.kill()
        self.tally["kills while recovering"] += 1

    async def _repeat_unanswered_checkouts(self):
        orders = [order for order in self.shop.history.orders.values() if order.unknown_attempts]
        outcomes = await asyncio.gather(*(self.shop.checkout(order.id) for order in orders))
        for order, outcome in zip(orders, outcomes):
            self.tally[f"repeated: {outcome.status}"] += 1
            self.assertIn(outcome.status, (200, 409), f"the repeated checkout of {order.id}: {outcome}")

    async def _complete_batch(self):
        """The same requests, sent again, complete what was begun; its orders can be checked out."""
        outcomes = await self.batch.initialize()
        self.assertEqual([outcome.status for outcome in outcomes], [200, 200, 200], list(map(str, outcomes)))
        self.assertEqual(await self.batch.check_out_some(self.random, 50), [])
        code, output = await run_kontor("audit", "--data", self.server.directory)
        self.assertEqual(code, 0, output)
