"""`kontor bench`: what it measures is written down, unless the books or the answers say that it is worth nothing."""

import json

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.loopback_server import LoopbackServer
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.services_case import ServicesCase

_CLEAN = {"clean": True, "accounts": 3, "orders": 900, "paidOrders": 0, "receipts": 0, "openSagas": 0, "culprits": []}


class _FakeShop(LoopbackServer):
    """Says 200 to everything, with an id; and of its books what the test wants."""

    def __init__(self, books: dict):
        super().__init__()
        self._books = json.dumps(books).encode()

    async def answer(self, method: str, path: str, headers: dict, body: bytes) -> Answer:
        return Answer(200, {}, self._books if path == "/audit" else b'{"some_id":"an-id"}')


class BenchTests(ServerCase):
    async def bench(self, scenario: str, *options) -> tuple:
        """Exit code, output, the JSON, and the page; None for what was not written."""
        paths = [self.scratch("report.json"), self.scratch("report.html")]
        for path in paths:
            path.unlink(missing_ok=True)
        code, output = await run_kontor(
            "bench", scenario, "--replace", "--warm-up", 0.2, "--duration", 1.2, "--json", paths[0], "--report", paths[1],
            *options)
        texts = [path.read_text() if path.exists() else None for path in paths]
        return code, output, texts[0] and json.loads(texts[0]), texts[1]

    def assert_measured(self, measured: tuple, statuses: set) -> dict:
        code, output, report, page = measured
        self.assertEqual(code, 0, output)
        self.assertIs(report["booksBalance"], True)
        self.assertEqual({line["status"] for line in report["lines"]}, statuses, output)
        for line in report["lines"]:
            self.assertGreater(line["count"], 0)
            latency = line["latency"]
            self.assertLessEqual(latency["p50"], latency["p99"])
            self.assertEqual(line["curve"][-1]["milliseconds"], latency["max"])
        self.assertIn("The books balance.", output)
        for outside in ("http://", "https://", "<script", "@import", "url("):
            self.assertNotIn(outside, page)
        self.assertIn("<polyline", page)
        return report

    async def test_each_scenario_is_measured_and_audited(self):
        server = await self.started_server()
        ports = ("--port", server.port, "--internal-port", server.internal_port)
        few = ("--items", 100, "--users", 500, "--orders", 90_000)
        for scenario, options, statuses in (
            ("checkout", ("--connections", 16), {200}), ("checkout-hot", ("--connections", 16), {200}),
            ("checkout", ("--rate", 500), {200}), ("find", (), {200}), ("list", (), {200}),
            ("journey", (), {200}), ("order", (), {201}), ("mix", (), {200, 409}),
        ):
            with self.subTest(scenario=scenario, options=options):
                report = self.assert_measured(await self.bench(scenario, *ports, *few, *options), statuses)
                self.assertEqual(report["scenario"], scenario)
                if "--rate" in options:
                    self.assertAlmostEqual(report["lines"][0]["perSecond"], 500, delta=100)
        await self.assert_clean_audit(server)

    async def test_what_a_shop_has_is_not_replaced_unless_asked_for(self):
        server = await self.started_server()
        client = server.client()
        for path, reads in (
            ("/stock/batch_init/3/7/1", "/stock/find/2"), ("/payment/batch_init/3/7", "/payment/find_user/2"),
            ("/orders/batch_init/3/2/2/1", "/orders/find/2"),
        ):
            with self.subTest(has=path):
                self.assertEqual((await client.post(path)).status, 200)
                before = (await client.get(reads)).body
                code, output = await run_kontor(
                    "bench", "checkout", "--port", server.port, "--internal-port", server.internal_port, "--duration", 1,
                    "--warm-up", 0, "--orders", 5_000, "--items", 10, "--users", 10)
                self.report(f"bench on a shop with {path}: exit status {code}")
                self.assertEqual((await client.get(reads)).body, before)
                self.assertEqual(code, 2, output)
                self.assertIn("--replace", output)
                server.kill()
                server = await self.started_server()
                client = server.client()
        # What a run does not replace, it does not ask about.
        self.assertEqual((await client.post("/payment/create_user")).status, 200)
        code, output = await run_kontor(
            "bench", "find", "--port", server.port, "--internal-port", server.internal_port, "--duration", 1, "--warm-up", 0,
            "--items", 10, "--users", 10)
        self.assertEqual(code, 0, output)

    async def test_a_run_without_good_books_has_no_result(self):
        culprit = {"finding": "wrongBalance", "subject": "item 0", "detail": "a test"}
        for scenario, books, words in (
            ("find", {**_CLEAN, "clean": False, "culprits": [culprit]}, "The books do NOT balance"),
            # All of these were answered with 200.
            ("checkout", {**_CLEAN, "orders": 20}, "0 orders are paid, and by the answers it should be 20 to 20"),
            # What cannot be paid is said to be.
            ("mix", _CLEAN, "contradict the contract"),
            ("find", {"no": "books"}, "The books cannot be read"),
        ):
            with self.subTest(scenario=scenario, books=books):
                shop = _FakeShop(books)
                await shop.start()
                self.addCleanup(shop.kill)
                code, output, report, page = await self.bench(
                    scenario, "--port", shop.port, "--internal-port", shop.port, "--orders", 20)
                self.assertEqual(code, 1, output)
                self.assertIn(words, output)
                self.assertIn("This run has no result.", output)
                self.assertNotIn("per second", output)
                self.assertEqual((report, page), (None, None))

    async def test_a_shop_that_is_not_there_is_said_to_be(self):
        code, output, report, _ = await self.bench("find", "--port", free_port())
        self.assertEqual((code, report), (2, None), output)


class ServicesBenchTests(ServicesCase, BenchTests):
    """Through the gateway, whose port is all that is used, but for the audit of the three stores."""

    async def test_each_scenario_is_measured_and_audited(self):
        shop = await self.started_deployment()
        few = ("--items", 50, "--users", 100, "--orders", 20_000)
        for scenario, statuses in (("checkout", {200}), ("mix", {200, 409})):
            with self.subTest(scenario=scenario):
                measured = await self.bench(scenario, "--port", shop.port, *shop.store_arguments, *few)
                self.assert_measured(measured, statuses)

    test_what_a_shop_has_is_not_replaced_unless_asked_for = None
    test_a_run_without_good_books_has_no_result = None
    test_a_shop_that_is_not_there_is_said_to_be = None
