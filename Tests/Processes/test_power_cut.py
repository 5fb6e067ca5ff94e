"""The power is cut under load: what was not synced is gone, and what was acknowledged is not (P1, P2)."""

from case import ServerCase
from faults import SHUTDOWN_WITH_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITHOUT_FLUSH, FragileDisk, injected
from judge import judge
from market import Market
from shop import Shop

# The journal reserves two segments of 72 MiB.
_DISK_BYTES = 512 << 20
_CUTS = [
    SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITHOUT_FLUSH,
    SHUTDOWN_WITH_FLUSH, SHUTDOWN_WITHOUT_FLUSH]


class PowerCutTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("mkfs.ext4")
        self.disk = FragileDisk(self.scratch("disk"), _DISK_BYTES)
        self.addCleanup(self.disk.remove)
        self.server = await self.started_server(self.disk.path / "data")
        self.shop = Shop(self.server.client())

    async def test_what_was_acknowledged_survives_power_cuts_under_load(self):
        """Six times: load, a cut at any moment, kill, mount, restart, judge."""
        random = self.seeded_random()
        market = Market(self.shop, random)
        await market.open()
        unknown = 0
        for flag in _CUTS:
            await market.run_to_any_moment(most_answers=3_000)
            self.disk.cut_power(flag)
            self.server.kill()
            await market.wait()
            unknown += sum(bool(order.unknown_attempts) for order in self.shop.history.orders.values())
            self.disk.power_up()
            await self.server.start()
            await self.assert_judged_well(self.shop, only_recent=True)
            await self.assert_clean_audit(self.server)
        await self.assert_judged_well(self.shop)
        self.report(f"{len(_CUTS)} cuts, {self.shop.history.answers} answers, {unknown} unanswered checkouts")

    async def test_a_server_that_outlives_the_cut_tells_nobody_that_it_worked(self):
        """After the cut the process goes on for a moment: it says 504 or nothing, and exits."""
        market = Market(self.shop, self.seeded_random())
        await market.open()
        await market.run_to_any_moment(most_answers=1_000)
        self.disk.cut_power(SHUTDOWN_WITHOUT_FLUSH)
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
