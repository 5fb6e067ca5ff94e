"""The power is cut under load: what was not synced is gone, and what was acknowledged is not (P1, P2).

A power cut stops the process and the disk at one instant. Here they are two steps, so the process is frozen first: a sync that
is under way when ext4 is shut down can return success for data that is gone (seen on Linux 6.18 with nothing but a loop of write
and fdatasync), and a process that ran on would acknowledge it.
"""

import asyncio

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import SHUTDOWN_WITH_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITHOUT_FLUSH, FragileDisk, injected
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.remembering.judge import judge
from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop

# The journal reserves two segments of 72 MiB.
_DISK_BYTES = 512 << 20
_CUTS = [SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITH_FLUSH] * 3


class PowerCutTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("mkfs.ext4")
        self.disk = FragileDisk(self.scratch("disk"), _DISK_BYTES)
        self.addCleanup(self.disk.remove)
        self.server = await self.started_server(self.disk.path / "data")
        self.shop = Shop(self.server.client())

    async def test_what_was_acknowledged_survives_power_cuts_under_load(self):
        """Twelve times: load (in some rounds with a `batch_init`, so that the journal is folded too), a cut at any moment,
        kill, mount, restart, judge."""
        random = self.seeded_random()
        market = Market(self.shop, random)
        await market.open()
        unknown = 0
        batch = Batch(self.shop.client, items=10_000, users=10_000, orders=100_000)
        for number, flag in enumerate(_CUTS):
            initializing = asyncio.create_task(batch.initialize()) if number % 2 else None
            await market.run_to_any_moment(most_answers=3_000)
            await self.server.freeze()
            self.disk.cut_power(flag)
            self.server.kill()
            await market.wait()
            if initializing:
                await initializing
            unknown += sum(bool(order.unknown_attempts) for order in self.shop.history.orders.values())
            self.disk.power_up()
            await self.server.start()
            await self.assert_judged_well(self.shop, only_recent=True)
            await self.assert_clean_audit(self.server)
        self.assertEqual([outcome.status for outcome in await batch.initialize()], [200, 200, 200])
        self.assertEqual(await batch.check_out_some(random, 50), [])
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)
        self.report(f"{len(_CUTS)} cuts, {self.shop.history.answers} answers, {unknown} unanswered checkouts")

    async def test_a_server_whose_disk_is_gone_tells_nobody_that_it_worked(self):
        """The disk goes while the server is idle: the load that comes then gets 504 or nothing, and the process exits."""
        market = Market(self.shop, self.seeded_random())
        await market.open()
        self.disk.cut_power(SHUTDOWN_WITHOUT_FLUSH)
        market.start()
        code = await self.server.wait_for_exit()
        await market.wait()
        self.assertNotEqual(code, 0)
        self.disk.power_up()
        await self.server.start()
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)

    async def test_a_missing_sync_would_be_noticed(self):
        """A test of these tests: syncs that only pretend lose what was acknowledged, and the judge says so."""
        self.require("strace")
        item = await self.shop.create_item(100, 1)
        async with injected(self.server.pid, "retval=0"):
            self.assertEqual((await self.shop.add_stock(item, 1)).status, 200)
            self.disk.cut_power(SHUTDOWN_WITHOUT_FLUSH)
            self.server.kill()
        self.disk.power_up()
        await self.server.start()
        self.assertEqual(len(await judge(self.shop.history, self.shop.client)), 1)
