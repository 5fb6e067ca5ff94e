"""The log has one line for each event that an operator needs, in order, and none for a request."""

import asyncio
import json
import re

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import SmallDisk, injected
from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.remembering.batch import Batch
from Tests.kontor_testing.remembering.shop import Shop

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class LogCase(ServerCase):
    async def started(self, *arguments, directory=None):
        """A server that logs JSON unless told otherwise."""
        server = self.new_server(directory)
        server.spawn(arguments=arguments or ("--log-format", "json"))
        await server.wait_until_ready()
        return server

    def lines(self, server) -> list:
        """All that the server wrote but the harness' own line."""
        text = server.log_path.read_text()
        return [line for line in text.splitlines() if not line.startswith("--- started")]

    def events(self, server) -> list:
        """The lines as objects; one that is no JSON object fails the test."""
        events = [json.loads(line) for line in self.lines(server)]
        for event in events:
            self.assertRegex(event["time"], _TIME)
            self.assertIn(event["level"], ("info", "notice", "warning", "error", "critical"))
        self.assertEqual(sorted(event["time"] for event in events), [event["time"] for event in events])
        return events

    def messages(self, server) -> list:
        return [event["message"] for event in self.events(server)]


class LogTests(LogCase):
    async def test_a_life_is_told_in_order(self):
        """Start, recovery, ready, a batch_init, shutdown; a directory with odd characters does not break a line."""
        server = await self.started(directory=self.scratch('da"t\\a\n é'))
        await Batch(Shop(server.client()).client, items=300, users=200, orders=100).initialize()
        self.assertEqual(await server.terminate(), 0)
        events = self.events(server)
        self.assertEqual([event["message"] for event in events], [
            "A new store was made, without items, users and orders", "The store is open", "Bounds of memory", "Recovered",
            "Ready: requests are served", "A batch_init ended", "A batch_init ended", "A batch_init ended", "The shutdown begins: requests in flight end first", "The shutdown is complete"])
        self.assertEqual(events[1]["directory"], str(server.directory))
        self.assertRegex(events[1]["version"], r"\d+\.\d+")
        self.assertEqual({event["level"] for event in events}, {"notice"})
        self.assertEqual(
            {(event["kind"], event["records"], event["outcome"]) for event in events[5:8]},
            {("item", "300", "done"), ("user", "200", "done"), ("order", "100", "done")})
        self.assertEqual(events[-1]["unanswered"], "0")

    async def test_ten_thousand_requests_add_no_line(self):
        """Paid and refused checkouts, reads, writes, malformed and unknown paths."""
        server = await self.started()
        client = server.client()
        shop = Shop(client)
        item, user = await shop.create_item(100, 100), await shop.create_user(1_000_000)
        orders = [await shop.order_of(user, {item: 1}) for _ in range(200)]
        before = self.messages(server)
        for round_ in range(10):
            paths = [("POST", f"/orders/checkout/{order}") for order in orders]
            paths += [("GET", f"/stock/find/{item}"), ("POST", f"/payment/add_funds/{user}/1"),
                      ("POST", "/stock/add/x/-1"), ("GET", f"/no/such/path/{round_}")] * 200
            outcomes = await asyncio.gather(*(client.request(method, path) for method, path in paths))
            self.assertTrue(all(isinstance(outcome, Answer) for outcome in outcomes))
        self.assertEqual(self.messages(server), before)

    async def test_what_a_kill_interrupted_is_told_by_the_next_start(self):
        self.require("strace")
        server = await self.started()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 100), await shop.create_user(1_000_000)
        self.assertEqual((await shop.checkout(await shop.order_of(user, {item: 1}))).status, 200)
        server.kill()
        server.spawn_with([*server.listening, "--data", server.directory], {"KONTOR_LOG_FORMAT": "json"})
        await server.wait_until_ready()
        last = self.events(server)[-4:]
        self.assertEqual([event["message"] for event in last], [
            "The store is open", "Bounds of memory", "Recovered", "Ready: requests are served"])
        self.assertGreater(int(last[0]["replayed"]), 0)

    async def test_slow_syncs_are_told_once_in_a_while(self):
        """A dozen syncs of half a second: at most two lines."""
        self.require("strace")
        server = await self.started()
        shop = Shop(server.client())
        async with injected(server.pid, "delay_enter=500000"):
            for _ in range(12):
                await shop.create_user(1)
        slow = [event for event in self.events(server) if event["message"] == "The disk is slow"]
        self.assertIn(len(slow), (1, 2), slow)
        self.assertEqual(slow[0]["level"], "warning")
        self.assertGreaterEqual(int(slow[0]["longestMilliseconds"]), 250)

    async def test_a_full_disk_is_told_when_it_begins_and_when_it_is_over(self):
        """However many requests it refuses, and with their number. Others took the room while it was down."""
        disk = SmallDisk(self.scratch("disk"), 256 << 20)
        self.addCleanup(disk.remove)
        server = await self.started(directory=disk.path / "data")
        server.kill()
        (server.directory / "journal" / "spare").unlink()
        disk.fill()
        server.spawn(arguments=("--log-format", "json"))
        await server.wait_until_ready()
        client = server.client()
        outcomes = await asyncio.gather(*(client.post("/payment/create_user") for _ in range(500)))
        self.assertEqual({outcome.status for outcome in outcomes}, {424})
        disk.free()

        async def is_told():
            return "New work is taken again" in self.messages(server)

        await eventually(is_told, "the end of the refusals")
        told = [event for event in self.events(server) if event["message"].startswith("New work is")]
        self.assertEqual([event["message"] for event in told], ["New work is refused", "New work is taken again"])
        self.assertEqual({event["reason"] for event in told}, {"disk_full"})
        self.assertGreaterEqual(int(told[1]["refused"]), 500)


class LostLogTests(LogCase):
    async def test_a_log_that_cannot_be_written_does_not_end_the_shop(self):
        """Standard error is a full disk: every line is lost, and nothing else."""
        server = self.new_server()
        server.spawn(prefix=("sh", "-c", 'exec "$0" "$@" 2>/dev/full'))
        await server.wait_until_ready()
        answer = await server.client().request("POST", "/stock/batch_init/10/5/1")
        self.assertIsInstance(answer, Answer)
        self.assertEqual(answer.status, 200)
        self.assertEqual(await server.terminate(), 0)


class SettingTests(LogCase):
    async def test_text_lines_are_for_people(self):
        server = await self.started("--log-format", "text")
        lines = [line for line in self.lines(server) if not line.startswith(("Kontor serves", "All routes", "Try:"))]
        self.assertGreaterEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, rf"^{_TIME.pattern} NOTICE \S.*$")
        self.assertIn(f"directory={server.directory}", lines[0])

    async def test_a_level_leaves_out_what_is_below_it(self):
        server = await self.started("--log-format", "json", "--log-level", "warning")
        self.assertEqual(self.lines(server), [])

    async def test_settings_that_cannot_be_are_refused_with_their_choices(self):
        for arguments, environment, named in (
            (("--log-format", "xml"), {}, "json"), ((), {"KONTOR_LOG_FORMAT": "xml"}, "KONTOR_LOG_FORMAT"),
            ((), {"KONTOR_LOG_LEVEL": "loud"}, "critical"),
        ):
            with self.subTest(named=named):
                code, output = await run_kontor(
                    "serve", "--data", self.scratch("data"), *arguments, environment=environment)
                self.assertNotEqual(code, 0)
                self.assertIn(named, output)
