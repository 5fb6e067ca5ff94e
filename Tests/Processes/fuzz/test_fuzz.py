"""100,000 requests that are malformed, oversized, unknown or noise: no crash, no effect, and every answer makes sense (P7)."""

import asyncio
import json
import os
import sys
import time
import unittest
from collections import Counter

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.programs import REPOSITORY, run_kontor
from Tests.kontor_testing.remembering.shop import Shop
from Tests.Processes.fuzz.fuzz_model import Known, verdict
from Tests.Processes.fuzz.fuzz_wire import Case, wrongs

REQUESTS = int(os.environ.get("KONTOR_FUZZ_REQUESTS", 100_000))
_PROCESSES = 2


class FuzzTests(ServerCase):
    async def test_nothing_that_is_malformed_has_an_effect_or_brings_the_server_down(self):
        """Two fuzzers at once, each with seeds of its own."""
        random = self.seeded_random()
        self.server = await self.started_server()
        pid = self.server.pid
        known = await self._open_shop()
        before = await self._state(known)
        started = time.monotonic()
        reports = await asyncio.gather(
            *(self._fuzz(random.randrange(1 << 32), REQUESTS // _PROCESSES, known) for _ in range(_PROCESSES)))
        seconds = time.monotonic() - started
        answers, kinds = Counter(), Counter()
        for report in reports:
            answers.update(report["answers"])
            kinds.update(report["kinds"])
        violations = [violation for report in reports for violation in report["violations"]]
        requests = sum(report["requests"] for report in reports)
        self.report(f"{requests} requests in {seconds:.0f} s; answers: {dict(sorted(answers.items()))}; {dict(kinds)}")
        self.assertEqual(violations, [], f"{len(violations)} wrong answers:\n" + "\n".join(violations[:15]))
        self.assertEqual(await self._state(known), before)
        self.assertTrue(self.server.is_running and self.server.pid == pid)
        self.assertNotRegex(self.server.log(), r"(?i)\b(warning|error|critical|fatal|anomaly)\b")
        await self.assert_clean_audit(self.server)
        await self._assert_it_still_sells(known)

    async def _open_shop(self) -> Known:
        """Items, users, and orders that are open, empty and paid."""
        self.shop = shop = Shop(self.server.client())
        items = {await shop.create_item(price, 5 + price): 5 + price for price in (0, 100, 725)}
        users = {await shop.create_user(10_000): 10_000 for _ in range(3)}
        orders = {}
        for user in users:
            for state, lines in (("open", list(items)[:1]), ("open", []), ("paid", list(items)[:1])):
                order = await shop.order_of(user, {item: 1 for item in lines})
                orders[order] = {"state": state, "lines": lines}
                if state == "paid":
                    self.assertEqual((await shop.checkout(order)).status, 200)
        # The paid ones took the item that costs nothing.
        items[list(items)[0]] -= len(users)
        return Known(items, users, orders)

    async def _fuzz(self, seed: int, requests: int, known: Known) -> dict:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "Tests.Processes.fuzz.fuzzer", str(self.server.port), str(seed), str(requests), cwd=REPOSITORY,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate(json.dumps(known._asdict()).encode())
        self.assertEqual(process.returncode, 0, f"the fuzzer with the seed {seed} failed")
        return json.loads(output)

    async def _state(self, known: Known) -> list:
        """All that can be read, and what the audit counts. A direct payment that is refused has locked its amount before
        (decision 23), and the account counts its locks: so the bytes of a backup are not compared.
        """
        paths = [f"/stock/find/{id}" for id in known.items] + [f"/payment/find_user/{id}" for id in known.users]
        paths += [f"/orders/find/{id}" for id in known.orders]
        state = [(path, (await self.shop.client.get(path)).body) for path in paths]
        state.append(await self.server.audit())
        state.append(await run_kontor("audit", "--data", self.server.directory))
        return state

    async def _assert_it_still_sells(self, known: Known):
        user, item = list(known.users)[0], list(known.items)[1]
        order = await self.shop.order_of(user, {item: 1})
        self.assertEqual((await self.shop.checkout(order)).status, 200)
        await self.assert_judged_well(self.shop)


class ModelTests(unittest.TestCase):
    """What the fuzzer thinks of requests, and of answers."""

    known = Known({"i": 5}, {"u": 100}, {"o": {"state": "open", "lines": ["i"]}})

    def test_a_request_that_would_change_something_is_known_as_such(self):
        for method, target in (
            ("POST", b"/stock/item/create/0"), ("POST", b"/stock/add/i/1"), ("POST", b"/stock/subtract/%69/5"),
            ("POST", b"/payment/pay/u/1.00"), ("POST", b"/payment/pay/u/o/0.995"), ("DELETE", b"/orders/remove/o"),
            ("POST", b"/orders/checkout/o"), ("POST", b"/payment/create_user?x"),
            ("POST", b"http://h/stock/add/i/0000000000000000001"),
            ("POST", b"/stock/batch_init/1/0/0"), ("DELETE", b"/orders/removeItem/o/i"),
        ):
            self.assertTrue(verdict(method, target, self.known).may_change, target)

    def test_each_fault_has_its_answer(self):
        for method, target, accepts in (
            ("GET", b"/stock/find/i", {"200"}), ("GET", b"/stock/find/j", {"404/unknown-item"}),
            ("POST", b"/stock/find/i", {"405/wrong-method"}), ("POST", b"/stock/add/i/0", {"400/malformed-request"}),
            ("POST", b"/stock/add/j/x", {"404/unknown-item", "400/malformed-request"}),
            ("GET", b"/stock/find/", {"404/unknown-route"}),
            ("POST", b"/stock/subtract/i/6", {"409/out-of-stock"}), ("POST", b"/payment/pay/u/1.01", {"409/out-of-credit"}),
            ("POST", b"/payment/pay/u/x/1", {"404/unknown-order"}),
            ("POST", b"/payment/add_funds/u/0.005", {"400/malformed-request"}),
            ("GET", b"/stock/find/i?" + b"q" * 2_048, {"414"}),
        ):
            judged = verdict(method, target, self.known)
            self.assertEqual((judged.accepts, judged.may_change), (accepts, False), target)

    def test_an_answer_that_makes_no_sense_is_noticed(self):
        case = Case("request", b"", frozenset({"404/unknown-item"}))
        headers = {"content-type": "application/problem+json"}
        good = {"type": "/problems/unknown-item", "title": "Unknown item", "status": 404, "detail": "There is no item j."}
        self.assertEqual(wrongs(case, 404, headers, json.dumps(good).encode()), "")
        for change in (
            {"type": "/problems/unknown-user"}, {"status": 400}, {"detail": " "}, {"detail": "Optional(\"j\")"},
            {"title": None}, {"type": "x"},
        ):
            self.assertNotEqual(wrongs(case, 404, headers, json.dumps({**good, **change}).encode()), "", change)
        self.assertNotEqual(wrongs(case, 404, {}, json.dumps(good).encode()), "")
        self.assertNotEqual(wrongs(case, 404, headers, b"{"), "")
        self.assertNotEqual(wrongs(case, 200, headers, b"{}"), "")
