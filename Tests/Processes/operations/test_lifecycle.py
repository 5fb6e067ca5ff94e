"""How `kontor serve` begins and ends: settings, signals, one process per directory, and journals that are not whole."""

import asyncio
import contextlib
import re
import signal
import socket
import sqlite3

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import injected, is_held_in_sync
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import BINARY, PATIENCE_SECONDS, run_kontor, run_program
from Tests.kontor_testing.remembering.market import Market
from Tests.kontor_testing.remembering.shop import Shop


class SignalTests(ServerCase):
    async def test_sigterm_and_sigint_end_requests_in_flight_with_their_answers(self):
        """50 checkouts wait for a slow sync when the signal comes: all are answered with 200, and the process exits with 0."""
        self.require("strace")
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                server = await self.started_server()
                client = server.client()
                shop = Shop(client)
                item, user = await shop.create_item(100, 1_000), await shop.create_user(100_000)
                orders = [await shop.order_of(user, {item: 1}) for _ in range(50)]
                sent = client.sent + len(orders)
                async with injected(server.pid, "delay_enter=500000"):
                    checkouts = [asyncio.create_task(shop.checkout(order)) for order in orders]
                    await eventually(lambda: client.sent == sent, "all checkouts are sent")
                    await eventually(lambda: is_held_in_sync(server.pid), "the sync")
                    # Sent after the others and answered at once: by now the server has read them all.
                    live = await server.client(connections=1).get("/health/live")
                    self.assertEqual(live.status, 200)
                    server.signal(number)
                    outcomes = await asyncio.gather(*checkouts)
                self.assertEqual({outcome.status for outcome in outcomes}, {200}, list(map(str, outcomes)))
                self.assertEqual(await server.wait_for_exit(), 0)
                await server.start()
                await self.assert_judged_well(shop)

    async def test_sigterm_under_load_loses_nothing(self):
        """Five times; the exit code is 0 and the state agrees with every answer."""
        server = await self.started_server()
        shop = Shop(server.client())
        market = Market(shop, self.seeded_random())
        await market.open()
        for _ in range(5):
            await market.run_to_any_moment(most_answers=1_000)
            self.assertEqual(await server.terminate(), 0)
            await market.wait()
            await server.start()
            await self.assert_judged_well(shop, only_recent=True)
            await self.assert_clean_audit(server)


class SettingTests(ServerCase):
    async def test_each_flag_has_an_environment_variable(self):
        server = self.new_server()
        server.host = "127.0.0.2"
        server.spawn_with([], {
            "KONTOR_HOST": server.host, "KONTOR_PORT": str(server.port),
            "KONTOR_INTERNAL_PORT": str(server.internal_port), "KONTOR_DATA": str(server.directory)})
        await server.wait_until_ready()
        self.assertTrue((await server.audit())["clean"])
        self.assertTrue(server.directory.is_dir())

    async def test_a_flag_goes_before_its_environment_variable(self):
        server = self.new_server()
        server.spawn_with(
            [*server.listening, "--data", server.directory], {"KONTOR_PORT": str(free_port()), "KONTOR_DATA": str(self.scratch("elsewhere"))})
        await server.wait_until_ready()
        self.assertFalse(self.scratch("elsewhere").exists())

    async def test_a_shop_that_may_have_too_few_files_open_does_not_start(self):
        """With 400 it served one connection, and said that it was ready for -16."""
        code, output = await run_program(
            PATIENCE_SECONDS, "bash", "-c", 'ulimit -n 400; exec "$@"', "-", BINARY, "serve", "--port", free_port(),
            "--internal-port", free_port(), "--data", self.scratch("data"))
        self.assertNotEqual(code, 0)
        self.assertIn("only 400 files open", output)

    async def test_settings_that_cannot_be_are_refused_with_a_message_that_names_them(self):
        data = ("--data", self.scratch("data"))
        ports = ("--port", free_port(), "--internal-port", free_port())
        self.scratch("file").write_text("not a directory")
        for arguments, environment, named in (
            ((*data, *ports, "--prot", "1"), {}, "--prot"),
            ((*data, "--port", "many"), {}, "many"),
            ((*data, "--port", "70000"), {}, "70000"),
            (data, {"KONTOR_PORT": "many"}, "KONTOR_PORT"),
            ((*ports, "--data", self.scratch("file")), {}, str(self.scratch("file"))),
            ((*ports, "--data", self.scratch("file") / "data"), {}, "A part of that path is a file"),
            ((*ports, "--data", self.scratch("not") / "there"), {}, "The directory that it should be in is not there"),
            ((*data, "--port", free_port(), "--host", "no.such.host.invalid"), {}, "that name stands for no address"),
            # What only one of three services has.
            ((*data, *ports, "--internal-host", "0.0.0.0"), {}, "--internal-host"),
            ((*data, *ports, "--stock-url", "http://127.0.0.1:1"), {}, "--stock-url"),
            ((*data, *ports), {"KONTOR_SECRET": "a secret of enough characters"}, "KONTOR_SECRET"),
            ((*data, *ports), {"KONTOR_STORE": "redis://127.0.0.1:1"}, "KONTOR_STORE"),
            ((*ports, "--data", ""), {}, "--data (KONTOR_DATA) is empty"),
            (ports, {"KONTOR_DATA": ""}, "--data (KONTOR_DATA) is empty"),
            ((*data, *ports, "--cache-records", "100000000"), {}, "records fit, or raise the limit"),
        ):
            with self.subTest(named=named):
                code, output = await run_kontor("serve", *arguments, environment=environment)
                self.assertNotEqual(code, 0)
                self.assertIn(named, output)

    async def test_a_port_in_use_is_refused_with_a_message_that_names_it(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", free_port()))
            taken.listen()
            port = taken.getsockname()[1]
            for flag, other in (("--port", "--internal-port"), ("--internal-port", "--port")):
                with self.subTest(flag=flag):
                    code, output = await run_kontor(
                        "serve", "--data", self.scratch("data"), flag, port, other, free_port())
                    self.assertNotEqual(code, 0)
                    self.assertIn(str(port), output)
                    self.assertIn("another process has that port", output.lower())
                    self.assertNotIn("errno", output)


class DirectoryTests(ServerCase):
    async def test_a_directory_with_foreign_files_is_refused_and_a_new_store_is_announced(self):
        foreign = self.scratch("photos")
        foreign.mkdir()
        (foreign / "holiday.jpeg").touch()
        code, output = await run_kontor(
            "serve", "--data", foreign, "--port", free_port(), "--internal-port", free_port())
        self.assertNotEqual(code, 0)
        self.assertIn("holiday.jpeg", output)
        self.assertEqual([path.name for path in foreign.iterdir()], ["holiday.jpeg"])
        server = await self.started_server()
        self.assertIn("A new store was made", server.log())
        self.assertIn("Bounds of memory", server.log())
        await server.terminate()
        await server.start()
        self.assertEqual(server.log().count("A new store was made"), 1)

    async def test_a_directory_whose_lock_file_was_removed_still_has_one_owner(self):
        server = await self.started_server()
        (server.directory / "lock").unlink()
        code, output = await run_kontor(
            "serve", "--data", server.directory, "--port", free_port(), "--internal-port", free_port())
        self.assertNotEqual(code, 0)
        self.assertIn("is in use", output)

    async def test_a_second_process_on_the_same_directory_is_refused_and_the_first_goes_on(self):
        server = await self.started_server()
        shop = Shop(server.client())
        item = await shop.create_item(100, 1)
        code, output = await run_kontor(
            "serve", "--data", server.directory, "--port", free_port(), "--internal-port", free_port())
        self.assertNotEqual(code, 0)
        self.assertIn(str(server.directory), output)
        self.assertIn(str(server.pid), output)
        await shop.add_stock(item, 1)
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)

    async def test_the_audit_of_what_is_no_store_fails_and_names_it(self):
        code, output = await run_kontor("audit", "--data", self.scratch("nothing"))
        self.assertNotIn(code, (0, 1))
        self.assertIn(str(self.scratch("nothing")), output)


class JournalTests(ServerCase):
    async def asyncSetUp(self):
        """A killed server, with some frames in its journal."""
        await super().asyncSetUp()
        self.server = await self.started_server()
        self.shop = Shop(self.server.client())
        self.item, user = await self.shop.create_item(100, 1_000), await self.shop.create_user(100_000)
        for _ in range(20):
            order = await self.shop.order_of(user, {self.item: 1})
            self.assertEqual((await self.shop.checkout(order)).status, 200)
        self.server.kill()
        self.segment = self._newest()

    def _newest(self):
        """The last segment: each start begins one."""
        return max((self.server.directory / "journal").glob("*.journal"))

    async def test_a_directory_that_cannot_be_read_to_its_end_is_refused(self):
        """The call that would say that there are no more names fails: the names so far are not all."""
        self.require("strace")
        for count in (2, 4, 6):
            with self.subTest(count=count):
                fault = ["-e", "trace=getdents64", "-e", f"inject=getdents64:error=EIO:when={count}"]
                self.server.spawn(["strace", "-D", "-f", "-qq", "-o", "/dev/null", *fault])
                self.assertEqual(await self.server.wait_for_exit(), 1, self.server.log())
                self.assertIn("of readdir)", self.server.log())
        await self.server.start()
        await self.assert_judged_well(self.shop)

    async def test_a_journal_whose_newest_segment_is_gone_is_refused(self):
        await self.server.start()
        await self.shop.add_stock(self.item, 1)
        self.server.kill()
        newest = self._newest()
        content = newest.read_bytes()
        newest.unlink()
        code, output = await run_kontor(
            "serve", "--data", self.server.directory, "--port", free_port(), "--internal-port", free_port())
        self.assertNotEqual(code, 0)
        self.assertIn(str(newest), output)
        self.assertIn("newest segment is gone", output)
        newest.write_bytes(content)
        await self.server.start()
        await self.assert_judged_well(self.shop)

    async def test_a_flipped_bit_with_whole_frames_behind_it_is_refused_with_file_and_offset(self):
        """In the segment's header, and at 12 places of the first half: lengths, checksums and contents of frames."""
        random = self.seeded_random()
        good = self.segment.read_bytes()
        for place in [3, 36, 40, 48] + [random.randrange(52, len(good) // 2) for _ in range(8)]:
            with self.subTest(place=place):
                bad = bytearray(good)
                bad[place] ^= 1 << random.randrange(8)
                self.segment.write_bytes(bad)
                code, output = await run_kontor(
                    "serve", "--data", self.server.directory, "--port", free_port(), "--internal-port", free_port())
                self.assertNotEqual(code, 0)
                named = re.search(rf"{self.segment}\D+(\d+)", output)
                self.assertIsNotNone(named, output)
                self.assertTrue(place - 10_000 < int(named[1]) <= place, output)
                self.assertEqual(self.segment.read_bytes(), bytes(bad), "a damaged journal was changed")
                code, output = await run_kontor("audit", "--data", self.server.directory)
                self.assertNotIn(code, (0, 1))
                self.assertIn(self.segment.name, output)

    async def test_garbage_behind_the_last_frame_is_cut(self):
        """Zeros, random bytes, and the start of a frame."""
        random = self.seeded_random()
        start_of_a_frame = self.segment.read_bytes()[32:60]
        for garbage in (bytes(5_000), random.randbytes(5_000), start_of_a_frame):
            with self.subTest(garbage=garbage[:4]):
                with open(self._newest(), "ab") as file:
                    file.write(garbage)
                await self.server.start()
                await self.assert_judged_well(self.shop)
                await self.shop.add_stock(self.item, 1)
                self.server.kill()

    async def test_a_last_frame_that_is_not_whole_is_cut(self):
        """As if the process had been killed while it wrote the frame: all before it is there."""
        await self.server.start()
        before = (await self.shop.client.get(f"/stock/find/{self.item}")).json()["stock"]
        self.assertEqual((await self.shop.client.post(f"/stock/add/{self.item}/1")).status, 200)
        self.server.kill()
        with open(self._newest(), "ab") as file:
            file.truncate(file.tell() - 3)
        await self.server.start()
        self.assertEqual((await self.shop.client.get(f"/stock/find/{self.item}")).json()["stock"], before)
        await self.assert_judged_well(self.shop)
        await self.assert_clean_audit(self.server)


class AuditTests(ServerCase):
    async def test_a_cooked_book_is_found_with_its_culprits(self):
        """Two items swap their records in the table behind the server's back: one that was sold, and one that was not."""
        server = await self.started_server()
        shop = Shop(server.client())
        sold, kept = await shop.create_item(100, 10), await shop.create_item(100, 10)
        order = await shop.order_of(await shop.create_user(1_000), {sold: 1})
        self.assertEqual((await shop.checkout(order)).status, 200)
        self.assertEqual(await server.terminate(), 0)
        with contextlib.closing(sqlite3.connect(server.directory / "table.sqlite")) as table, table:
            rows = [
                table.execute("SELECT key, value FROM record WHERE instr(key, ?)", (item.encode(),)).fetchone()
                for item in (sold, kept)]
            for (key, _), (_, value) in zip(rows, reversed(rows)):
                table.execute("UPDATE record SET value = ? WHERE key = ?", (value, key))
        code, output = await run_kontor("audit", "--data", server.directory)
        self.assertEqual(code, 1, output)
        self.assertIn(sold, output)
        self.assertIn(kept, output)
        await server.start()
        report = await server.audit()
        self.assertIs(report["clean"], False)
        self.assertIn(sold, str(report))
