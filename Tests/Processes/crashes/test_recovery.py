"""Checkouts that a `kill -9` finds half done (P1, P3, P5).

A checkout whose order, items and user are in memory is one frame of the journal, and no kill finds it half done. So each
round begins with a restart: nothing is in memory, each account is read from the table, which strace makes slow, and the
checkouts hold what they have while they wait for the rest.
"""

import asyncio
import re

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.remembering.shop import Shop

_ROUNDS = 12
_ITEMS = 40
_ORDERS = 300
_READ_CALLS = "pread64"


class RecoveryTests(ServerCase):
    async def test_half_done_checkouts_are_ended_by_recovery_with_nothing_left_over(self):
        """12 times: 300 checkouts of three scarce items each, kill -9 in their midst (and at times again while it recovers),
        restart, judge, repeat, judge."""
        self.require("strace")
        self.random = self.seeded_random()
        self.server = await self.started_server()
        self.shop = Shop(self.server.client(connections=_ORDERS))
        for _ in range(_ROUNDS):
            orders = await self._cold_orders()
            await self._kill_in_the_midst_of(orders)
            if self.random.random() < 0.5:
                self.server.spawn()
                await asyncio.sleep(self.random.uniform(0, 0.15))
                self.server.kill()
            await self.server.start()
            await self.assert_judged_well(self.shop, only_recent=True)
            await self.assert_clean_audit(self.server)
            self.assertEqual((await self.server.audit())["openSagas"], 0)
            outcomes = await asyncio.gather(*(self.shop.checkout(order) for order in orders))
            self.assertLessEqual({outcome.status for outcome in outcomes}, {200, 409})
            await self.assert_judged_well(self.shop, only_recent=True)
        await self.assert_judged_well(self.shop)
        resumed = [int(count) for count in re.findall(r"sagas=(\d+)", self.server.log_path.read_text())]
        self.report(f"checkouts resumed: {resumed}; answers: {dict(self.shop.history.tally)}")
        self.assertGreater(sum(resumed), 0, "no checkout was found half done: this test did not test what it should")

    async def test_checkouts_that_wait_for_each_other_are_all_answered_rightly(self):
        """The same without the kill: they contend for what others hold, and nobody is refused for that."""
        self.require("strace")
        self.random = self.seeded_random()
        self.server = await self.started_server()
        self.shop = Shop(self.server.client(connections=_ORDERS))
        for _ in range(3):
            orders = await self._cold_orders()
            async with injected(self.server.pid, "delay_enter=2000", calls=_READ_CALLS):
                outcomes = await asyncio.gather(*(self.shop.checkout(order) for order in orders))
            self.assertLessEqual({outcome.status for outcome in outcomes}, {200, 409}, list(map(str, outcomes)))
            await self.assert_judged_well(self.shop)
            await self.assert_clean_audit(self.server)
        self.report(f"answers: {dict(self.shop.history.tally)}")

    async def _cold_orders(self) -> list:
        """New orders over new items, of which there are enough for about half of the orders; then a graceful restart."""
        items = await asyncio.gather(*(self.shop.create_item(100, self.random.randint(5, 15)) for _ in range(_ITEMS)))
        users = await asyncio.gather(*(self.shop.create_user(1_000) for _ in range(_ORDERS // 4)))
        orders = await asyncio.gather(*(
            self.shop.order_of(self.random.choice(users), {item: 1 for item in self.random.sample(items, 3)})
            for _ in range(_ORDERS)))
        self.assertEqual(await self.server.terminate(), 0)
        await self.server.start()
        return orders

    async def _kill_in_the_midst_of(self, orders: list):
        before = self._journal_bytes()
        async with injected(self.server.pid, "delay_enter=2000", calls=_READ_CALLS):
            checkouts = [asyncio.create_task(self.shop.checkout(order)) for order in orders]
            # The first checkouts have begun, and wait for their accounts.
            await eventually(lambda: self._journal_bytes() > before, "the journal's growth")
            await asyncio.sleep(self.random.uniform(0, 0.1))
            self.server.kill()
            await asyncio.gather(*checkouts)

    def _journal_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.server.directory / "journal").glob("*.journal"))
