"""Disks that fail, are slow, or are full (P2: acknowledged is durable, and what is not known is said as such)."""

import asyncio
import contextlib
import sqlite3
import time

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import SmallDisk, injected, is_held_in_sync
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop

_SYNC_SECONDS = 0.5
_SLOW = f"delay_enter={int(_SYNC_SECONDS * 1_000_000)}"


class FailingSyncTests(ServerCase):
    async def test_a_failed_sync_is_answered_with_504_and_ends_the_process(self):
        """The batch of the failed sync gets 504, nobody gets a 2xx (who comes too late: 429 or nothing), and the exit code
        is not 0."""
        self.require("strace")
        server = await self.started_server()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 1_000), await shop.create_user(100_000)
        orders = [await shop.order_of(user, {item: 1}) for _ in range(20)]
        async with injected(server.pid, "error=EIO"):
            outcomes = await asyncio.gather(*(shop.checkout(order) for order in orders))
            code = await server.wait_for_exit()
        self.assertNotEqual(code, 0)
        statuses = {outcome.status for outcome in outcomes}
        self.assertLessEqual(statuses, {504, 424, 429, None}, list(map(str, outcomes)))
        self.assertIn(504, statuses, "nobody was told that the outcome is not known")
        self.assertIn("sync", server.log())
        await server.start()
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)

    async def test_after_a_sync_that_fails_under_load_the_restart_is_clean(self):
        """Five times, at the 1st to 40th sync from some moment on."""
        self.require("strace")
        random = self.seeded_random()
        server = await self.started_server()
        shop = Shop(server.client())
        market = Market(shop, random)
        await market.open()
        for _ in range(5):
            async with injected(server.pid, f"error=EIO:when={random.randint(1, 40)}+"):
                market.start()
                code = await server.wait_for_exit()
            await market.wait()
            self.assertNotEqual(code, 0)
            await server.start()
            await self.assert_judged_well(shop, only_recent=True)
            await self.assert_clean_audit(server)


class SlowSyncTests(ServerCase):
    async def test_slow_syncs_make_answers_late_and_not_wrong(self):
        """A mixed load for some seconds while every sync takes 0.2 s: no server error, no 504, and the books match."""
        self.require("strace")
        server = await self.started_server()
        shop = Shop(server.client())
        market = Market(shop, self.seeded_random())
        await market.open()
        async with injected(server.pid, "delay_enter=200000"):
            market.start()
            answers = shop.history.answers
            await eventually(lambda: shop.history.answers > answers + 400, "400 answers")
            market.stop()
            await market.wait()
        self.assertFalse(shop.has_unknown, "a request was answered with 504, or not at all")
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)

    async def test_no_answer_comes_before_its_sync(self):
        """Neither that of a write nor that of a read which has seen the write."""
        self.require("strace")
        server = await self.started_server()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 1_000), await shop.create_user(100_000)
        order = await shop.order_of(user, {item: 1})
        async with injected(server.pid, _SLOW):
            started = time.monotonic()
            checkout = asyncio.create_task(shop.checkout(order))
            while not checkout.done():
                read = await shop.client.get(f"/stock/find/{item}")
                if read.json()["stock"] == 999:
                    self.assertGreaterEqual(time.monotonic() - started, _SYNC_SECONDS, "a read told what was not durable")
            self.assertEqual((await checkout).status, 200)
            self.assertGreaterEqual(time.monotonic() - started, _SYNC_SECONDS, "a checkout was answered before its sync")
        await self.assert_judged_well(shop)

    async def test_a_deadline_that_comes_before_the_sync_is_answered_with_504_and_a_repeat_tells(self):
        """The client asked for 300 ms and the sync takes 2 s: the 504 comes in time, and the repeated checkout says 200."""
        self.require("strace")
        server = await self.started_server()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 1), await shop.create_user(100)
        order = await shop.order_of(user, {item: 1})
        async with injected(server.pid, "delay_enter=2000000"):
            started = time.monotonic()
            first = await shop.checkout(order, timeout_milliseconds=300)
            self.assertEqual(first.status, 504, str(first))
            self.assertLess(time.monotonic() - started, 1)
            again = await shop.checkout(order)
            self.assertEqual(again.status, 200, str(again))
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)

    async def test_a_kill_during_a_slow_sync_leaves_all_or_nothing(self):
        """Three times: checkouts and adds wait for their sync, the process is killed, and none of them was answered."""
        self.require("strace")
        server = await self.started_server()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 1_000), await shop.create_user(100_000)
        for _ in range(3):
            orders = [await shop.order_of(user, {item: 1}) for _ in range(10)]
            async with injected(server.pid, "delay_enter=3000000"):
                writes = [asyncio.create_task(shop.checkout(order)) for order in orders]
                writes.append(asyncio.create_task(shop.add_stock(item, 500)))
                await eventually(lambda: is_held_in_sync(server.pid), "the sync")
                server.kill()
                outcomes = await asyncio.gather(*writes)
            self.assertEqual({outcome.status for outcome in outcomes}, {None}, "answered before the sync")
            await server.start()
            await self.assert_judged_well(shop)
            await self.assert_clean_audit(server)


class PassingTroubleTests(ServerCase):
    """The table has troubles that pass: the journal has everything, and the shop goes on."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = await self.started_server()
        self.shop = Shop(self.server.client())
        self.item = await self.shop.create_item(100, 1_000)

    async def _write_for(self, seconds: float):
        """Long enough for the fold of a quiet shop to meet the trouble, more than once."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            outcome = await self.shop.add_stock(self.item, 1)
            self.assertIn(outcome.status, (200, 424), str(outcome))
            await asyncio.sleep(1.2)
        self.assertTrue(self.server.is_running, self.server.log())

    async def _goes_on(self):
        async def is_accepted():
            return (await self.shop.add_stock(self.item, 1)).status == 200

        await eventually(is_accepted, "writes after the trouble is over", seconds=5)
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)

    async def test_a_quota_that_is_reached_by_the_tables_log(self):
        self.require("strace")
        async with injected(self.server.pid, "error=EDQUOT", "pwrite64"):
            await self._write_for(5)
        await self._goes_on()

    async def test_another_connection_that_is_about_to_write_to_the_table(self):
        with contextlib.closing(sqlite3.connect(self.server.directory / "table.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await self._write_for(5)
            self.assertEqual((await self.shop.add_stock(self.item, 1)).status, 200, "nothing is refused meanwhile")
            other.execute("COMMIT")
        await self._goes_on()


class FullDiskTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.disk = SmallDisk(self.scratch("disk"), 256 << 20)
        self.addCleanup(self.disk.remove)
        self.server = await self.started_server(self.disk.path / "data")
        self.random = self.seeded_random()
        self.shop = Shop(self.server.client())
        self.market = Market(self.shop, self.random)
        self.batch = Batch(self.shop.client, items=1_000, users=1_000, orders=50_000)
        await self.market.open()

    async def test_a_full_disk_refuses_writes_and_serves_reads_until_there_is_room(self):
        """Writes get 424 without effect, reads 200; when there is room again, writes work again."""
        self.disk.fill()
        await self._load_until_refused()
        await self._assert_only_reads_are_served()
        self.assertTrue(self.server.is_running)
        await self.assert_judged_well(self.shop)
        await self._free_and_go_on()

    async def test_a_server_that_was_killed_on_a_full_disk_starts_on_it(self):
        """It serves reads, and writes too once there is room."""
        self.disk.fill()
        await self._load_until_refused()
        self.server.kill()
        self.disk.fill()
        await self.server.start()
        self.disk.fill()
        await self._load_until_refused()
        await self._assert_only_reads_are_served()
        await self._free_and_go_on()

    async def test_a_server_starts_on_a_disk_that_has_no_room_for_its_journal(self):
        """Others took the room while it was down: it serves reads, and refuses writes from the start."""
        self.server.kill()
        (self.server.directory / "journal" / "spare").unlink()
        self.disk.fill()
        await self.server.start()
        await self._assert_only_reads_are_served()
        await self._free_and_go_on()

    async def test_a_server_that_was_stopped_properly_starts_on_a_full_disk(self):
        """SQLite has removed its log and the log's index, which it needs to read the table, and the journal has no room for a
        segment: it serves reads."""
        self.assertEqual(await self.server.terminate(), 0)
        (self.server.directory / "journal" / "spare").unlink(missing_ok=True)
        self.disk.fill()
        await self.server.start()
        self.disk.fill()
        await self._assert_only_reads_are_served()
        await self._free_and_go_on()

    async def test_a_paid_order_is_paid_for_whoever_asks_again_on_a_full_disk(self):
        """Nothing is to be written for it, and a refusal would say that the order is not paid."""
        item, user = await self.shop.create_item(100, 1), await self.shop.create_user(100)
        order = await self.shop.order_of(user, {item: 1})
        self.assertEqual((await self.shop.checkout(order)).status, 200)
        self.disk.fill()
        await self._load_until_refused()
        again = await self.shop.checkout(order)
        self.assertEqual(again.status, 200, str(again))

    async def _load_until_refused(self):
        """`batch_init`s besides the usual load make journal and table grow, for which there is no room: others take at once
        what the store gives back."""
        self.shop.has_unknown = False
        self.market.start()
        batch = asyncio.create_task(self._initialize_until_refused())
        await eventually(self._is_refused, "424 for a write on a full disk", seconds=60, pause=0.1)
        self.market.stop()
        await self.market.wait()
        while not batch.done():
            self.disk.fill()
            await asyncio.sleep(0.1)
        # 504: it was half done when the disk was full, and it is no refusal if something was replaced.
        self.assertLessEqual(await batch, {200, 424, 504})
        self.assertFalse(self.shop.has_unknown, "a request was answered with 504, or not at all")

    async def _initialize_until_refused(self) -> set:
        """The statuses of all answers."""
        statuses = set()
        while statuses <= {200}:
            statuses |= {outcome.status for outcome in await self.batch.initialize()}
        return statuses

    async def _is_refused(self):
        self.disk.fill()
        return (await self.shop.client.post("/payment/create_user")).status == 424

    async def _assert_only_reads_are_served(self):
        item = next(iter(self.shop.history.accounts))
        await eventually(self._is_refused, "424 for a write on a full disk", pause=0.1)
        read = await self.shop.client.get(f"/stock/find/{item}")
        self.assertEqual(read.status, 200, str(read))
        for outcome in (await self.shop.add_stock(item, 1), await self.shop.client.post("/payment/create_user")):
            self.assertEqual(outcome.status, 424, str(outcome))
            self.assertEqual(outcome.headers["retry-after"], "30", "somebody must make room first")
            self.assertIn("must make room", outcome.json()["detail"])

    async def _free_and_go_on(self):
        """Makes room: writes work again, and the books are right."""
        self.disk.free()

        async def is_accepted():
            return (await self.shop.client.post("/payment/create_user")).status == 200

        await eventually(is_accepted, "writes after there is room again", seconds=5)
        outcomes = await self.batch.initialize()
        self.assertEqual([outcome.status for outcome in outcomes], [200, 200, 200], list(map(str, outcomes)))
        self.assertEqual(await self.batch.check_out_some(self.random, 50), [])
        answers = self.shop.history.answers
        self.market.start()
        await eventually(lambda: self.shop.history.answers > answers + 1_000, "1,000 answers")
        self.market.stop()
        await self.market.wait()
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)
