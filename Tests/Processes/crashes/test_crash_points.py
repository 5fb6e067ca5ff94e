"""Crashes at each single step: the process is killed at the n-th call that changes a file, for every n, while it starts,
and at some of them while it folds, rotates and checkpoints (P5)."""

import copy
import shutil

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import CHANGING_CALLS, injected, killed_at
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.remembering.shop import Shop

# More than a start makes of any of them.
_MOST_CALLS = 200


class StartTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("strace")
        self.server = self.new_server()

    async def test_a_crash_at_any_step_of_the_first_start_leaves_a_directory_that_works(self):
        async def restart():
            await self.server.start()
            shop = Shop(self.server.client())
            await shop.create_item(100, 1)
            await self.assert_judged_well(shop)
            self.server.kill()
            # And what was written is found again.
            await self.server.start()
            await self.assert_judged_well(shop)

        await self._crash_everywhere(self._remove_directory, restart)

    async def test_a_crash_at_any_step_of_a_restart_loses_nothing(self):
        """The directory has a table, an unfolded journal behind it, and a torn frame at its end."""
        await self.server.start()
        shop = Shop(self.server.client())
        item, user = await shop.create_item(100, 100), await shop.create_user(10_000)
        await self.server.terminate()
        await self.server.start()
        for _ in range(5):
            await shop.checkout(await shop.order_of(user, {item: 1}))
        self.server.kill()
        with open(max((self.server.directory / "journal").glob("*.journal")), "ab") as journal:
            journal.write(b"torn")
        saved = self.scratch("saved")
        shutil.copytree(self.server.directory, saved)

        async def restart():
            await self.server.start()
            known = copy.deepcopy(shop.history)
            await self.assert_judged_well(Shop(shop.client, known))
            self.assertTrue((await self.server.audit())["clean"])

        def restore():
            self._remove_directory()
            shutil.copytree(saved, self.server.directory)

        await self._crash_everywhere(restore, restart)

    def _remove_directory(self):
        shutil.rmtree(self.server.directory, ignore_errors=True)

    async def _crash_everywhere(self, prepare, restart):
        """Counts up, for each call, until the start comes through."""
        crashes = {}
        for call in CHANGING_CALLS:
            for count in range(1, _MOST_CALLS):
                prepare()
                self.server.spawn(killed_at(call, count))
                is_through = await self._starts_or_dies()
                self.server.kill()
                try:
                    await restart()
                except AssertionError as error:
                    self.fail(f"after a crash at {call} number {count}: {error}")
                self.server.kill()
                if is_through:
                    crashes[call] = count - 1
                    break
        self.report(f"crashes while it started: {crashes}")
        self.assertEqual(list(crashes), list(CHANGING_CALLS), "with the others it never came through")
        self.assertGreater(sum(crashes.values()), 20)

    async def _starts_or_dies(self) -> bool:
        client = self.server.client(connections=1)

        async def outcome():
            if not self.server.is_running:
                return "died"
            return "started" if (await client.get("/health/ready")).status == 200 else None

        try:
            return await eventually(outcome, "the server's start or end") == "started"
        finally:
            client.close()


class BackgroundTests(ServerCase):
    """The steps that a running server takes by itself, on a full segment of the journal."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("strace")
        self.random = self.seeded_random()
        self.server = await self.started_server()
        self.batch = Batch(self.server.client(), items=20_000, users=20_000, orders=100_000)
        await self._initialize()

    async def test_a_crash_at_any_step_of_a_rotation_loses_nothing(self):
        """The current segment is nearly full; the process is killed while it begins the next one."""
        for call in ("renameat", "fsync", "fallocate"):
            await self._fill_segment()
            last = self._segments()[-1]
            async with injected(self.server.pid, "signal=KILL", calls=call):
                while (await self._replace_items()).status == 200:
                    self.assertLess(last.stat().st_size, 80 << 20, f"no {call} in the midst of a rotation")
                self.assertEqual(await self.server.wait_for_exit(), -9)
            await self.server.start()
            await self._initialize()
            await self._assert_all_is_there()

    async def test_a_crash_at_any_step_of_the_fold_loses_nothing(self):
        """All that is in the journal was acknowledged; the process is killed while it moves that to the table to end."""
        crashes = {}
        await self._fill_segment()
        for call, most in (("pwrite64", 2_000), ("pwrite64", 2_000), ("fdatasync", 4), ("ftruncate", 1), ("unlink", 1)):
            await self._initialize()
            count = self.random.randint(1, most)
            async with injected(self.server.pid, f"signal=KILL:when={count}", calls=call):
                crashes[call, count] = await self.server.terminate()
            await self.server.start()
            await self._assert_all_is_there()
        self.report(f"exit codes by call and count: {crashes}")
        self.assertIn(-9, crashes.values())

    async def _initialize(self):
        outcomes = await self.batch.initialize()
        self.assertEqual([outcome.status for outcome in outcomes], [200, 200, 200], list(map(str, outcomes)))

    async def _assert_all_is_there(self):
        self.assertEqual(await self.batch.check_out_some(self.random, 100), [])
        await self.assert_clean_audit(self.server)

    def _segments(self) -> list:
        return sorted((self.server.directory / "journal").glob("*.journal"))

    async def _fill_segment(self):
        """To a little less than the 64 MiB at which the next one begins."""
        while self._segments()[-1].stat().st_size < 62 << 20:
            self.assertEqual((await self._replace_items()).status, 200)

    async def _replace_items(self):
        return await self.server.client(connections=1).post("/stock/batch_init/20000/1000/2")
