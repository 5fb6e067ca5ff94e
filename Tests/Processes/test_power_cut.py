"""The power is cut under load: what was not synced is gone, and what was acknowledged is not (P1, P2)."""

from case import ServerCase
from faults import SHUTDOWN_WITH_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITHOUT_FLUSH, FragileDisk
from market import Market
from shop import Shop

# The journal reserves two segments of 72 MiB.
_DISK_BYTES = 512 << 20
_CUTS = [
    SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITHOUT_FLUSH, SHUTDOWN_WITH_LOG_FLUSH, SHUTDOWN_WITHOUT_FLUSH,
    SHUTDOWN_WITH_FLUSH, SHUTDOWN_WITHOUT_FLUSH]


class PowerCutTests(ServerCase):
    async def test_what_was_acknowledged_survives_power_cuts_under_load(self):
        """Six times: load, a cut at any moment, kill, mount, restart, judge."""
        random = self.seeded_random()
        self.require("mkfs.ext4")
        disk = FragileDisk(self.scratch("disk"), _DISK_BYTES)
        self.addCleanup(disk.remove)
        server = await self.started_server(disk.path / "data")
        shop = Shop(server.client())
        market = Market(shop, random)
        await market.open()
        unknown = 0
        for flag in _CUTS:
            await market.run_to_any_moment(most_answers=3_000)
            disk.cut_power(flag)
            server.kill()
            await market.wait()
            unknown += sum(bool(order.unknown_attempts) for order in shop.history.orders.values())
            disk.power_up()
            await server.start()
            await self.assert_judged_well(shop, only_recent=True)
            await self.assert_clean_audit(server)
        await self.assert_judged_well(shop)
        self.report(f"{len(_CUTS)} cuts, {shop.history.answers} answers, {unknown} unanswered checkouts")

    async def test_a_server_that_outlives_the_cut_tells_nobody_that_it_worked(self):
        """After the cut the process goes on for a moment: it says 504 or nothing, and exits."""
        self.require("mkfs.ext4")
        disk = FragileDisk(self.scratch("disk"), _DISK_BYTES)
        self.addCleanup(disk.remove)
        server = await self.started_server(disk.path / "data")
        shop = Shop(server.client())
        market = Market(shop, self.seeded_random())
        await market.open()
        await market.run_to_any_moment(most_answers=1_000)
        disk.cut_power(SHUTDOWN_WITHOUT_FLUSH)
        code = await server.wait_for_exit()
        await market.wait()
        self.assertNotEqual(code, 0)
        disk.power_up()
        await server.start()
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)
