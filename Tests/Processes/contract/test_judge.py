"""The judge itself: it accepts what is right, and each of its rules can fail."""

import json
import unittest
from unittest import mock

from Tests.kontor_testing.http_client import Answer, Unanswered
from Tests.kontor_testing.remembering.judge import judge
from Tests.kontor_testing.remembering.shop import Shop

LOST = Unanswered(True, "the test says so")


def answer(status: int, content: dict) -> Answer:
    kind = "application/json" if status < 400 else "application/problem+json"
    return Answer(status, {"content-type": kind}, json.dumps(content).encode())


def problem(name: str, **ids) -> Answer:
    return answer(409, {"type": f"/problems/{name}", **ids})


class ScriptedClient:
    """Answers each request with what the test wrote down for it; 200 otherwise."""

    def __init__(self):
        self.answers = {}

    async def request(self, method: str, path: str, headers: dict = None) -> Answer:
        return self.answers.get(path, answer(200, {}))

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def post(self, path: str) -> Answer:
        return await self.request("POST", path)

    async def delete(self, path: str) -> Answer:
        return answer(404, {"type": "/problems/item-not-in-order"})


class JudgeTests(unittest.IsolatedAsyncioTestCase):
    """One item at 2.00 with 10 units, one user with 9.00, one order for 3 units."""

    async def asyncSetUp(self):
        # These answers do not change by themselves.
        late = mock.patch("Tests.kontor_testing.remembering.judge._LATE_SECONDS", 0)
        late.start()
        self.addCleanup(late.stop)
        self.client = ScriptedClient()
        self.shop = Shop(self.client)
        self.client.answers = {
            "/stock/item/create/2": answer(200, {"item_id": "i"}),
            "/payment/create_user": answer(200, {"user_id": "u"}),
            "/orders/create/u": answer(200, {"order_id": "o"}),
        }
        await self.shop.create_item(200, 10)
        await self.shop.create_user(900)
        await self.shop.order_of("u", {"i": 3})

    async def add_stock(self, units: int, outcome):
        self.client.answers[f"/stock/add/i/{units}"] = outcome
        await self.shop.add_stock("i", units)

    async def checkout(self, outcome):
        self.client.answers["/orders/checkout/o"] = outcome
        await self.shop.checkout("o")

    async def found(self, stock=10, credit=9, paid=False, units=3) -> list:
        """What the judge says when this is found."""
        self.client.answers.update({
            "/stock/find/i": answer(200, {"stock": stock, "price": 2}),
            "/payment/find_user/u": answer(200, {"user_id": "u", "credit": credit}),
            "/orders/find/o": answer(200, {
                "order_id": "o", "paid": paid, "items": [["i", units]], "user_id": "u", "total_cost": 2 * units}),
        })
        return await judge(self.shop.history, self.client)

    async def test_a_state_that_agrees_is_accepted(self):
        self.assertEqual(await self.found(), [])

    async def test_an_acknowledged_deposit_must_be_there(self):
        await self.add_stock(5, answer(200, {}))
        self.assertEqual(len(await self.found(stock=10)), 1)

    async def test_a_refused_deposit_must_not_be_there(self):
        await self.add_stock(5, problem("any"))
        self.assertEqual(len(await self.found(stock=15)), 1)

    async def test_an_unknown_deposit_is_there_once_or_not_at_all_and_stays_so(self):
        for stock, count in ((15, 0), (20, 1), (12, 1)):
            await self.asyncSetUp()
            await self.add_stock(5, LOST)
            self.assertEqual(len(await self.found(stock=stock)), count)
        await self.asyncSetUp()
        await self.add_stock(5, LOST)
        self.assertEqual(await self.found(stock=10), [])
        self.assertEqual(len(await self.found(stock=15)), 1)

    async def test_an_acknowledged_checkout_must_be_paid_sold_and_charged(self):
        await self.checkout(answer(200, {}))
        self.assertEqual(await self.found(stock=7, credit=3, paid=True), [])
        self.assertNotEqual(await self.found(stock=10, credit=9, paid=False), [])

    async def test_a_paid_order_is_sold_and_charged_once(self):
        for stock, credit in ((10, 3), (4, 3), (7, 9), (7, 0)):
            await self.asyncSetUp()
            await self.checkout(LOST)
            self.assertEqual(len(await self.found(stock=stock, credit=credit, paid=True)), 1)

    async def test_an_unknown_checkout_is_paid_or_not(self):
        await self.checkout(LOST)
        self.assertEqual(await self.found(), [])
        await self.asyncSetUp()
        await self.checkout(LOST)
        self.assertEqual(await self.found(stock=7, credit=3, paid=True), [])

    async def test_a_checkout_whose_outcome_is_unknown_may_begin_after_the_first_look(self):
        await self.checkout(LOST)
        looks = iter((False, True))

        async def get(path: str) -> Answer:
            if path == "/orders/find/o":
                return answer(200, {
                    "order_id": "o", "paid": next(looks), "items": [["i", 3]], "user_id": "u", "total_cost": 6})
            return await self.client.request("GET", path)

        self.client.get = get
        self.assertEqual(await self.found(stock=7, credit=3), [])

    async def test_a_refused_checkout_must_not_be_paid(self):
        await self.checkout(problem("out-of-stock", item_id="i"))
        self.assertIn("every checkout of it was refused", (await self.found(stock=7, credit=3, paid=True))[0])

    async def test_a_paid_order_must_not_be_refused(self):
        await self.checkout(answer(200, {}))
        await self.checkout(problem("out-of-stock", item_id="i"))
        self.assertIn("then refused", (await self.found(stock=7, credit=3, paid=True))[0])

    async def test_a_paid_order_may_meet_a_store_that_cannot_be_reached_and_no_other_424(self):
        await self.checkout(answer(200, {}))
        told = {"type": "/problems/unavailable", "detail": "The store cannot be reached. Nothing was changed."}
        await self.checkout(answer(424, told))
        self.assertEqual(await self.found(stock=7, credit=3, paid=True), [])
        await self.checkout(answer(424, {**told, "detail": "The disk is full. Nothing was changed."}))
        self.assertIn("then refused", (await self.found(stock=7, credit=3, paid=True))[0])

    async def test_nobody_is_refused_for_want_of_what_is_there(self):
        await self.checkout(problem("out-of-stock", item_id="i"))
        self.assertIn("never had less than 10", (await self.found())[0])
        await self.checkout(problem("out-of-credit", user_id="u"))
        self.assertIn("never had less than 900", (await self.found())[0])

    async def test_a_refusal_is_right_when_the_amount_may_have_been_too_small(self):
        await self.checkout(LOST)
        self.client.answers["/stock/subtract/i/8"] = problem("out-of-stock", item_id="i")
        await self.shop.subtract_stock("i", 8)
        self.assertEqual(await self.found(stock=7, credit=3, paid=True), [])

    async def test_contended_is_said_only_at_the_deadline(self):
        await self.checkout(problem("contended", item_id="i"))
        self.assertIn("contended was said after", (await self.found())[0])

    async def test_a_lost_line_is_noticed(self):
        self.assertNotEqual(await self.found(units=2), [])

    async def test_a_server_error_is_a_violation(self):
        await self.add_stock(5, answer(500, {"type": "/problems/bug"}))
        self.assertIn("was answered with 500", (await self.found())[0])
