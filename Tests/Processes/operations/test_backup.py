"""`kontor backup`, `kontor restore` and `kontor doctor`: copies that are whole or not there, and looks that leave no trace."""

import asyncio
import contextlib
import hashlib
import os
import subprocess

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import SmallDisk, killed_at
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import BINARY, run_kontor
from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop


def trace(directory) -> dict:
    """Name, size, time of change and content of everything in a directory."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        found[str(path.relative_to(directory))] = (status.st_size, status.st_mtime_ns, content)
    return found


def killed(call: str, count: int, *arguments) -> int:
    """Runs a command that is killed at its so many-th call; its exit code is not negative if it ended before that."""
    command = [*killed_at(call, count), BINARY, *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode


class BackupCase(ServerCase):
    async def shop_with_paid_orders(self, server, count: int = 20) -> Shop:
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 1_000), await shop.create_user(100_000)
        for _ in range(count):
            order = await shop.order_of(user, {item: 1})
            self.assertEqual((await shop.checkout(order)).status, 200)
        return shop

    async def assert_done(self, *arguments) -> str:
        code, output = await run_kontor(*arguments)
        self.assertEqual(code, 0, output)
        return output

    async def stored(self):
        """A backup of a store with paid orders."""
        server = await self.started_server()
        shop = await self.shop_with_paid_orders(server)
        file = self.scratch("shop.backup")
        await self.assert_done("backup", "--to", file, "--data", server.directory)
        return server, shop, file


class BackupTests(BackupCase):
    async def test_a_backup_under_load_has_every_order_that_was_paid_before_it_began(self):
        """Three backups in the midst of a load; each is restored: its books balance, and the orders are paid."""
        server = await self.started_server()
        shop = Shop(server.client())
        market = Market(shop, self.seeded_random())
        await market.open()
        market.start()
        copies = []
        for number in range(3):
            answers = shop.history.answers
            await eventually(lambda: shop.history.answers > answers + 500, "500 answers")
            paid = [order.id for order in shop.history.orders.values() if order.is_paid]
            copies.append((self.scratch(f"{number}.backup"), self.scratch(f"restored-{number}"), paid))
            await self.assert_done("backup", "--to", copies[-1][0], "--data", server.directory)
        market.stop()
        await market.wait()
        await self.assert_clean_audit(server)
        self.assertEqual(await server.terminate(), 0)
        for file, directory, paid in copies:
            self.assertGreater(len(paid), 10)
            await self.assert_done("restore", "--from", file, "--data", directory)
            await self.assert_done("audit", "--data", directory)
            restored = await self.started_server(directory)
            client = restored.client()
            for order in paid:
                self.assertIs((await client.get(f"/orders/find/{order}")).json()["paid"], True, order)

            async def has_ended():
                return (await restored.audit())["openSagas"] == 0

            await eventually(has_ended, "the end of the checkouts that were open in the backup", seconds=10)
            await self.assert_clean_audit(restored)
            restored.kill()

    async def test_two_backups_of_an_unchanged_store_are_the_same_bytes_and_so_is_one_of_the_restored(self):
        server, _, file = await self.stored()
        again, third = self.scratch("again"), self.scratch("third")
        server.kill()
        await self.assert_done("backup", "--to", again, "--data", server.directory)
        await self.assert_done("restore", "--from", file, "--data", self.scratch("restored"))
        await self.assert_done("backup", "--to", third, "--data", self.scratch("restored"))
        self.assertEqual(file.read_bytes(), again.read_bytes())
        self.assertEqual(file.read_bytes(), third.read_bytes())

    async def test_a_backup_that_is_killed_leaves_no_file_of_its_name(self):
        """At each write, sync and rename of it; then one that is left alone succeeds."""
        self.require("strace")
        server, _, _ = await self.stored()
        directory = self.scratch("backups")
        directory.mkdir()
        kills = 0
        for call in ("write", "fdatasync", "renameat", "fsync"):
            for count in (1, 2, 3):
                file = directory / f"{call}-{count}"
                if killed(call, count, "backup", "--to", file, "--data", server.directory) == 0:
                    self.assertTrue(file.exists())
                    break
                kills += 1
                # The directory's sync is behind the rename: by then the backup is whole.
                if file.exists():
                    self.assertEqual(call, "fsync")
                    await self.assert_done("restore", "--from", file, "--data", self.scratch(file.name))
        self.assertGreaterEqual(kills, 5)
        # The partial of one that was killed is in the way of the next, which says so.
        self.assertEqual(killed("fdatasync", 1, "backup", "--to", directory / "last", "--data", server.directory), -9)
        code, output = await run_kontor("backup", "--to", directory / "last", "--data", server.directory)
        self.assertEqual(code, 1)
        self.assertIn("last.partial", output)
        (directory / "last.partial").unlink()
        await self.assert_done("backup", "--to", directory / "last", "--data", server.directory)

    async def test_a_backup_on_a_full_disk_says_so_and_leaves_nothing(self):
        server, _, file = await self.stored()
        disk = SmallDisk(self.scratch("disk"), 1 << 20)
        self.addCleanup(disk.remove)
        disk.fill()
        code, output = await run_kontor("backup", "--to", disk.path / "b", "--data", server.directory)
        self.assertEqual(code, 1)
        self.assertIn("no space", output)
        self.assertEqual([path.name for path in disk.path.iterdir()], ["ballast"])
        code, output = await run_kontor("backup", "--to", file, "--data", server.directory)
        self.assertEqual(code, 1)
        self.assertIn("already", output)
        code, output = await run_kontor("backup", "--to", self.scratch("b"), "--data", self.scratch("nothing"))
        self.assertEqual(code, 2)


class RestoreTests(BackupCase):
    async def test_a_damaged_backup_is_refused_and_nothing_is_made(self):
        _, _, file = await self.stored()
        random = self.seeded_random()
        good, bad, target = file.read_bytes(), self.scratch("bad"), self.scratch("target")
        flipped = bytearray(good)
        flipped[random.randrange(len(good))] ^= 1 << random.randrange(8)
        for content in (b"", good[:random.randrange(len(good))], good[:-1], bytes(flipped), good + b"\0"):
            bad.write_bytes(content)
            code, output = await run_kontor("restore", "--from", bad, "--data", target)
            self.assertEqual(code, 2, output)
            self.assertIn("nothing was written", output)
            self.assertFalse(target.exists())

    async def test_a_directory_that_is_in_use_is_refused(self):
        server, shop, file = await self.stored()
        code, output = await run_kontor("restore", "--from", file, "--data", server.directory)
        self.assertEqual(code, 1)
        self.assertIn(str(server.directory), output)
        await self.assert_judged_well(shop)

    async def test_a_restore_that_is_killed_at_any_step_is_never_half_a_shop(self):
        """What it leaves is refused by `serve`, or it is the whole shop; and the restore can be run again."""
        self.require("strace")
        _, shop, file = await self.stored()
        paid = [order.id for order in shop.history.orders.values() if order.is_paid]
        refused = 0
        for call in ("write", "pwrite64", "fdatasync", "fsync", "unlink", "renameat", "mkdir", "ftruncate"):
            for count in (1, 2, 4, 8, 16):
                target = self.scratch(f"{call}-{count}")
                code = killed(call, count, "restore", "--from", file, "--data", target)
                if code == 0:
                    break
                names = {path.name for path in target.iterdir()} if target.exists() else set()
                if "restoring" in names:
                    refused += 1
                    code, output = await run_kontor("audit", "--data", target)
                    self.assertEqual(code, 2, output)
                    self.assertIn("restore", output)
                    code, output = await run_kontor("serve", "--data", target, "--port", 0, "--internal-port", 0)
                    self.assertEqual(code, 1, output)
                    self.assertIn("unfinished restore", output)
                if "restoring" in names or not names - {"lock"}:
                    await self.assert_done("restore", "--from", file, "--data", target)
                output = await self.assert_done("audit", "--data", target)
                self.assertIn(f"{len(paid)} paid", output)
        self.assertGreater(refused, 8)


class DoctorTests(BackupCase):
    async def assert_leaves_no_trace(self, directory, *commands, code: int = 0) -> str:
        """Runs each command; afterwards every file is as it was. Returns all that was said."""
        said = ""
        for command in commands:
            before = trace(directory)
            found, output = await run_kontor(*command, "--data", directory)
            self.assertEqual(found, code, output)
            self.assertEqual(trace(directory), before, command)
            said += output
        return said

    def looks(self):
        return ("doctor",), ("audit",), ("backup", "--to", self.scratch(f"look-{os.urandom(4).hex()}"))

    async def test_looks_at_a_store_in_any_state_leave_no_trace(self):
        """Running, idle, killed, killed during a write, and cleanly stopped."""
        server = await self.started_server()
        await self.shop_with_paid_orders(server)

        async def is_at_rest():
            before = trace(server.directory)
            await asyncio.sleep(1.5)
            return trace(server.directory) == before

        await eventually(is_at_rest, "the fold's end")
        said = await self.assert_leaves_no_trace(server.directory, *self.looks())
        self.assertIn(f"process {server.pid}", said)
        self.assertIn("20 orders (20 paid)", said)
        await self.shop_with_paid_orders(server, 5)
        server.kill()
        said = await self.assert_leaves_no_trace(server.directory, *self.looks())
        self.assertIn("served by no process", said)
        self.assertIn("25 orders (25 paid)", said)
        with open(max((server.directory / "journal").glob("*.journal")), "ab") as segment:
            segment.write(b"torn")
        said = await self.assert_leaves_no_trace(server.directory, *self.looks())
        self.assertIn("4 bytes", said)
        await server.start()
        self.assertEqual(await server.terminate(), 0)
        self.assertFalse(list(server.directory.glob("table.sqlite-*")))
        await self.assert_leaves_no_trace(server.directory, *self.looks())

    async def test_damage_is_named_with_its_place_and_looks_leave_no_trace(self):
        """In the journal, in the table, and in a directory that is none of ours."""
        server = await self.started_server()
        await self.shop_with_paid_orders(server)
        server.kill()
        segment = max((server.directory / "journal").glob("*.journal"))
        good = segment.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 1
        segment.write_bytes(bad)
        said = await self.assert_leaves_no_trace(server.directory, *self.looks(), code=2)
        self.assertIn(f"damage in {segment}", said)
        segment.write_bytes(good)
        await server.start()
        self.assertEqual(await server.terminate(), 0)
        table = server.directory / "table.sqlite"
        content = bytearray(table.read_bytes())
        content[200:] = bytes(len(content) - 200)
        table.write_bytes(content)
        await self.assert_leaves_no_trace(server.directory, *self.looks(), code=2)
        empty = self.scratch("empty")
        empty.mkdir()
        await self.assert_leaves_no_trace(empty, *self.looks(), code=2)

    async def test_a_server_starts_while_a_killed_store_is_looked_at(self):
        """Neither is in the way of the other."""
        server = await self.started_server()
        shop = await self.shop_with_paid_orders(server)
        server.kill()
        looks = [asyncio.create_task(run_kontor("audit", "--data", server.directory)) for _ in range(5)]
        await server.start()
        for look in looks:
            code, output = await look
            self.assertEqual(code, 0, output)
        await self.assert_judged_well(shop)

    async def test_want_of_room_is_a_finding(self):
        disk = SmallDisk(self.scratch("disk"), 200 << 20)
        self.addCleanup(disk.remove)
        server = await self.started_server(disk.path / "data")
        await self.shop_with_paid_orders(server, 1)
        disk.fill()
        code, output = await run_kontor("doctor", "--data", server.directory)
        self.assertEqual(code, 1, output)
        self.assertIn("Make room", output)
        with contextlib.suppress(FileNotFoundError):
            disk.free()
        server.kill()
