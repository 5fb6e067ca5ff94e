"""A disk that fails a sync for real, and what the next process makes of it (P2).

After a failed sync Linux counts the pages as clean: they are read back as written, a second sync says that all is well, and a
power cut takes them away.
"""

import asyncio

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import SHUTDOWN_WITHOUT_FLUSH, FailingDisk
from Tests.kontor_testing.remembering.shop import Shop

_DISK_BYTES = 512 << 20
# The frame of 2,000 items has many pages, and none of them is written again by what follows it.
_ITEMS = 2_000


class FailedSyncTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("mkfs.ext4", "filefrag")
        self.disk = FailingDisk(self.scratch("disk"), _DISK_BYTES)
        self.addCleanup(self.disk.remove)
        self.server = await self.started_server(self.disk.path / "data")
        self.shop = Shop(self.server.client())

    async def test_what_is_acknowledged_after_a_failed_sync_and_a_restart_survives_a_power_cut(self):
        """A sync fails (504, exit), the disk recovers, the server is started again and acknowledges; then the power goes."""
        item, user = await self.shop.create_item(100, 1_000), await self.shop.create_user(100_000)
        self.assertEqual((await self.shop.add_stock(item, 1)).status, 200)
        segment = max((self.server.directory / "journal").glob("*.journal"))
        self.disk.fail_behind(segment, 16 << 20)
        failed = await self.shop.client.post(f"/stock/batch_init/{_ITEMS}/1/1")
        code = await self.server.wait_for_exit()
        self.assertNotEqual(code, 0)
        self.assertIn("The disk failed", self.server.log())
        self.assertNotEqual(getattr(failed, "status", None), 200)
        self.disk.heal()
        await self.server.start()
        for _ in range(3):
            self.assertEqual((await self.shop.add_stock(item, 7)).status, 200)
        order = await self.shop.order_of(user, {item: 1})
        self.assertEqual((await self.shop.checkout(order)).status, 200)
        await self.server.freeze()
        self.disk.cut_power(SHUTDOWN_WITHOUT_FLUSH)
        self.server.kill()
        self.disk.power_up()
        await self.server.start()
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)
