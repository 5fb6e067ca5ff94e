"""Idempotency keys when the server is killed or slow, and the story of an order (P4, P8): single promises of the HTTP contract.

What keys promise in quiet times is in test/microservices."""

import asyncio
import signal

from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.shop_case import ShopCase


class KeyTests(ShopCase):
    async def keyed(self, path: str, key: str) -> Answer:
        return await self.client.post(path, {"Idempotency-Key": key})

    async def first(self, path: str, key: str) -> Answer:
        """A write that is carried out."""
        answer = await self.keyed(path, key)
        self.assertEqual((answer.status, answer.headers.get("idempotent-replayed")), (200, None), f"{path}: {answer}")
        return answer

    async def replay(self, path: str, key: str, first: Answer):
        """The same answer, byte for byte, marked as what it is."""
        answer = await self.keyed(path, key)
        self.assertEqual(answer.headers.get("idempotent-replayed"), "true", f"{path}: {answer}")
        self.assertEqual(
            (answer.status, answer.headers["content-type"], answer.body), (200, first.headers["content-type"], first.body))

    async def keyed_refusal(self, path: str, key: str, problem: str, status: int):
        await self.refused("POST", path, problem, status, {"Idempotency-Key": key})

    async def test_an_empty_key_and_one_beyond_ascii_are_refused(self):
        item = await self.item(5)
        for key in ("", "é"):
            await self.keyed_refusal(f"/stock/add/{item}/1", key, "malformed-request", 400)
        self.assertEqual(await self.stock(item), 0)

    async def test_a_key_and_its_effect_survive_kills(self):
        item, user = await self.item(5), await self.user()
        requests = [(f"/stock/add/{item}/3", "a"), (f"/payment/add_funds/{user}/7", "b"), ("/stock/item/create/2", "c")]
        firsts = [await self.first(path, key) for path, key in requests]
        for _ in range(2):
            self.server.kill()
            await self.server.start()
            for (path, key), first in zip(requests, firsts):
                await self.replay(path, key, first)
            await self.keyed_refusal(f"/stock/add/{item}/4", "a", "idempotency-key-reused", 422)
        self.assertEqual((await self.stock(item), await self.credit(user)), (3, 7))

    async def test_duplicates_at_once_have_one_effect(self):
        """While its first request waits for the disk, a key is in use; who asks again later gets the answer."""
        self.require("strace")
        item = await self.item(5)
        path = f"/stock/add/{item}/3"
        async with injected(self.server.pid, "delay_enter=100000"):
            answers = await asyncio.gather(*(self.keyed(path, "k") for _ in range(20)))
        done = [answer for answer in answers if answer.status == 200]
        in_use = [answer for answer in answers if answer.problem == "idempotency-key-in-use"]
        self.assertEqual(len(done) + len(in_use), 20, [str(answer) for answer in answers])
        self.assertEqual(sum("idempotent-replayed" not in answer.headers for answer in done), 1)
        self.assertTrue(all(answer.status == 409 and answer.headers["retry-after"] for answer in in_use))
        await self.replay(path, "k", done[0])
        self.assertEqual(await self.stock(item), 3)


class ExplainTests(ShopCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.goods, self.buyer = await self.item(5, stock=1), await self.user(100)

    async def order_of(self, units: int) -> str:
        order = await self.order(self.buyer)
        await self.ok("POST", f"/orders/addItem/{order}/{self.goods}/{units}")
        return order

    async def explained(self, order: str) -> dict:
        return await self.ok("GET", f"/orders/explain/{order}")

    async def test_a_paid_order_tells_each_step_with_its_time(self):
        order = await self.order_of(1)
        await self.ok("POST", f"/orders/checkout/{order}")
        story = await self.explained(order)
        attempt = story["attempts"][-1]
        self.assertEqual((story["state"], story["to_succeed"], attempt["outcome"]), ("paid", [], "paid"))
        self.assertEqual(
            [step["step"] for step in attempt["steps"]], ["begin", "hold", "hold", "decide", "capture", "capture", "finish"])
        for step in attempt["steps"]:
            self.assertRegex(step["at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertTrue(step["outcome"])

    async def test_an_order_that_is_refused_says_what_would_make_it_succeed(self):
        order = await self.order_of(2)
        await self.refused("POST", f"/orders/checkout/{order}", "out-of-stock")
        story = await self.explained(order)
        self.assertEqual(story["state"], "open")
        self.assertIn("2 wanted, 1 left", story["attempts"][-1]["reason"])
        self.assertEqual(len(story["to_succeed"]), 1)
        self.assertIn(f"item {self.goods}: 2 wanted, 1 left", story["to_succeed"][0])
        await self.ok("POST", f"/stock/add/{self.goods}/1")
        self.assertEqual((await self.explained(order))["to_succeed"], [])
        await self.ok("POST", f"/orders/checkout/{order}")
        self.assertEqual([attempt["outcome"] for attempt in (await self.explained(order))["attempts"]], ["refused", "paid"])

    async def test_all_that_is_missing_is_said_at_once(self):
        order = await self.order_of(30)
        needs = " ".join((await self.explained(order))["to_succeed"])
        self.assertIn(f"item {self.goods}: 30 wanted, 1 left", needs)
        self.assertIn(f"user {self.buyer}: 150 wanted, 100 left", needs)

    async def test_an_order_that_met_others_tells_that_it_waited(self):
        """Ten orders at once want the last unit: one gets it, and the others were contended before they were refused.

        Whether they meet is a matter of timing; frozen while they arrive, the server finds them together, mostly at once."""
        for _ in range(20):
            stories = await self._stories_of_ten_at_once()
            retried = [story for story in stories if story["attempts"][0]["outcome"] == "retried"]
            if retried:
                break
            await self.ok("POST", f"/stock/add/{self.goods}/1")
        self.assertTrue(retried, "nobody met anybody")
        for story in retried:
            holds = [step["outcome"] for step in story["attempts"][0]["steps"] if step["step"] == "hold"]
            self.assertTrue(any("undecided" in outcome for outcome in holds), holds)
            self.assertIn("0 left", story["attempts"][-1]["reason"])

    async def _stories_of_ten_at_once(self) -> list:
        orders = [await self.order_of(1) for _ in range(10)]
        await self.server.freeze()
        checkouts = [asyncio.create_task(self.client.post(f"/orders/checkout/{order}")) for order in orders]
        await asyncio.sleep(0.05)
        self.server.signal(signal.SIGCONT)
        outcomes = await asyncio.gather(*checkouts)
        self.assertEqual(sorted(outcome.status for outcome in outcomes), [200] + [409] * 9)
        return [await self.explained(order) for order in orders]

    async def test_the_story_survives_a_kill(self):
        refused, paid = await self.order_of(2), await self.order_of(1)
        await self.refused("POST", f"/orders/checkout/{refused}", "out-of-stock")
        await self.ok("POST", f"/orders/checkout/{paid}")
        before = [await self.explained(order) for order in (refused, paid)]
        self.server.kill()
        await self.server.start()
        self.assertEqual([await self.explained(order) for order in (refused, paid)], before)

    async def test_an_order_that_is_not_there_is_said_to_be_unknown(self):
        await self.refused("GET", "/orders/explain/none", "unknown-order", 404)
