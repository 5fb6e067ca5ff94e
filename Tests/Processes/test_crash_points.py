"""Crashes at each single step: the process is killed at the n-th call that changes a file, for every n, while it starts,
and at some of them while it folds, rotates and checkpoints (P5)."""

import copy
import shutil

from batch import Batch
from case import ServerCase
from faults import CHANGING_CALLS, killed_at
from server import until
from shop import Shop


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
        self.server.signal()
        await self.server.wait_for_exit()
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
            crashes[call] = 0
            while True:
                prepare()
                self.server.spawn(killed_at(call, crashes[call] + 1))
                is_through = await self._starts_or_dies()
                self.server.kill()
                with self.subTest(call=call, count=crashes[call] + 1):
                    await restart()
                self.server.kill()
                if is_through:
                    break
                crashes[call] += 1
        self.report(f"crashes while it started: {crashes}")
        self.assertGreater(sum(crashes.values()), 20)

    async def _starts_or_dies(self) -> bool:
        client = self.server.client(connections=1)

        async def outcome():
            if not self.server.is_running:
                return "died"
            return "started" if (await client.get("/health/ready")).status == 200 else None

        try:
            return await until(outcome, "the server's start or end") == "started"
        finally:
            client.close()


class FoldTests(ServerCase):
    async def test_a_crash_at_any_step_of_the_fold_loses_nothing(self):
        """A `batch_init` of 60 MB makes the journal rotate, fold, checkpoint and drop a segment. Each of these calls is killed at
        some count of it; then the same `batch_init` completes."""
        self.require("strace")
        random = self.seeded_random()
        server = await self.started_server()
        batch = Batch(server.client(), items=20_000, users=20_000, orders=300_000)
        crashes = []
        for call, most in (
            ("pwrite64", 2_000), ("fdatasync", 40), ("ftruncate", 1), ("renameat", 1), ("unlink", 1), ("fallocate", 1),
        ):
            count = random.randint(1, most)
            server.signal()
            await server.wait_for_exit()
            server.spawn(killed_at(call, count))
            await server.wait_until_ready()
            outcomes = await batch.initialize()
            if all(outcome.status == 200 for outcome in outcomes):
                # Later steps come when the shop is quiet, and when it ends.
                server.signal()
            await server.wait_for_exit()
            crashes.append(f"{call} {count}: {len(outcomes)} {server.process.returncode}")
            await server.start()
            outcomes = await batch.initialize()
            self.assertEqual([outcome.status for outcome in outcomes], [200, 200, 200], list(map(str, outcomes)))
            self.assertEqual(await batch.check_out_some(random, 50), [])
            await self.assert_clean_audit(server)
        self.report(f"killed at {'; '.join(crashes)}")
