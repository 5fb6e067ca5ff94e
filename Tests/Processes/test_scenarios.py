"""What the public clients do: the six scenarios of the stress test, and single promises of the contract."""

import asyncio
from decimal import Decimal

from shop_case import ShopCase

# Whether addItem says how many.
GENERATIONS = (False, True)


class ScenarioTests(ShopCase):
    async def add_one(self, order: str, item: str, has_count: bool):
        """In the way of the clients of 2021 and 2022, or of those since then."""
        await self.ok("POST", f"/orders/addItem/{order}/{item}" + ("/1" if has_count else ""))

    # The six scenarios

    async def test_an_item_is_created_and_stocked(self):
        """Scenario 1."""
        item = await self.item(5, stock=7)
        self.assertEqual(await self.ok("GET", f"/stock/find/{item}"), {"stock": 7, "price": 5})

    async def test_an_order_of_one_item_is_checked_out(self):
        """Scenario 2."""
        for has_count in GENERATIONS:
            item, user = await self.item(5, stock=10), await self.user(100)
            order = await self.order(user)
            await self.add_one(order, item, has_count)
            await self.ok("POST", f"/orders/checkout/{order}")
            self.assertEqual((await self.stock(item), await self.credit(user), await self.is_paid(order)), (9, 95, True))

    async def test_an_order_of_two_items_is_checked_out(self):
        """Scenario 3."""
        for has_count in GENERATIONS:
            first, second, user = await self.item(5, stock=10), await self.item(7, stock=10), await self.user(100)
            order = await self.order(user)
            await self.add_one(order, first, has_count)
            await self.add_one(order, second, has_count)
            await self.ok("POST", f"/orders/checkout/{order}")
            self.assertEqual((await self.stock(first), await self.stock(second), await self.credit(user)), (9, 9, 88))

    async def test_an_item_is_added_removed_and_added_again(self):
        """Scenario 4."""
        for has_count in GENERATIONS:
            item, user = await self.item(5, stock=10), await self.user(100)
            order = await self.order(user)
            await self.add_one(order, item, has_count)
            await self.ok("DELETE", f"/orders/removeItem/{order}/{item}")
            self.assertEqual((await self.ok("GET", f"/orders/find/{order}"))["items"], [])
            await self.add_one(order, item, has_count)
            await self.ok("POST", f"/orders/checkout/{order}")
            found = await self.ok("GET", f"/orders/find/{order}")
            expected = {"order_id": order, "paid": True, "items": [[item, 1]], "user_id": user, "total_cost": 5}
            self.assertEqual(found, expected)
            self.assertEqual((await self.stock(item), await self.credit(user)), (9, 95))

    async def test_a_checkout_fails_for_want_of_stock(self):
        """Scenario 5; what was in stock of the other item is given back."""
        for has_count in GENERATIONS:
            there, gone, user = await self.item(5, stock=10), await self.item(7), await self.user(100)
            order = await self.order(user)
            await self.add_one(order, there, has_count)
            await self.add_one(order, gone, has_count)
            await self.refused("POST", f"/orders/checkout/{order}", "out-of-stock")
            self.assertEqual(
                (await self.stock(there), await self.credit(user), await self.is_paid(order)), (10, 100, False))

    async def test_a_checkout_fails_for_want_of_credit(self):
        """Scenario 6; the stock is given back."""
        for has_count in GENERATIONS:
            item, user = await self.item(5, stock=10), await self.user(4)
            order = await self.order(user)
            await self.add_one(order, item, has_count)
            await self.refused("POST", f"/orders/checkout/{order}", "out-of-credit")
            self.assertEqual((await self.stock(item), await self.credit(user), await self.is_paid(order)), (10, 4, False))

    # Checkouts, again and at once

    async def test_a_failed_checkout_succeeds_when_stock_and_credit_were_added(self):
        item, user = await self.item(5), await self.user(10)
        order = await self.order(user)
        await self.ok("POST", f"/orders/addItem/{order}/{item}/2")
        await self.refused("POST", f"/orders/checkout/{order}", "out-of-stock")
        await self.ok("POST", f"/stock/add/{item}/2")
        await self.ok("POST", f"/payment/pay/{user}/10")
        await self.refused("POST", f"/orders/checkout/{order}", "out-of-credit")
        await self.ok("POST", f"/payment/add_funds/{user}/10")
        await self.ok("POST", f"/orders/checkout/{order}")
        self.assertEqual((await self.stock(item), await self.credit(user)), (0, 0))

    async def test_a_paid_order_is_checked_out_again_without_effect(self):
        item, user = await self.item(5, stock=10), await self.user(100)
        order = await self.order(user)
        await self.add_one(order, item, True)
        for _ in range(3):
            await self.ok("POST", f"/orders/checkout/{order}")
        self.assertEqual((await self.stock(item), await self.credit(user)), (9, 95))
        await self.refused("POST", f"/orders/addItem/{order}/{item}/1", "order-paid")
        await self.refused("DELETE", f"/orders/removeItem/{order}/{item}", "order-paid")
        await self.refused("DELETE", f"/orders/remove/{order}", "order-paid")

    async def test_checkouts_of_one_order_at_once_have_one_effect_and_one_outcome(self):
        item, user = await self.item(5, stock=10), await self.user(100)
        order = await self.order(user)
        await self.add_one(order, item, True)
        await asyncio.gather(*(self.ok("POST", f"/orders/checkout/{order}") for _ in range(50)))
        self.assertEqual((await self.stock(item), await self.credit(user)), (9, 95))

    async def test_an_order_without_items_cannot_be_checked_out(self):
        order = await self.order(await self.user(100))
        await self.refused("POST", f"/orders/checkout/{order}", "order-empty")

    async def test_an_order_that_costs_nothing_needs_no_credit(self):
        item, user = await self.item(0, stock=1), await self.user()
        order = await self.order(user)
        await self.add_one(order, item, True)
        await self.ok("POST", f"/orders/checkout/{order}")
        self.assertEqual((await self.stock(item), await self.credit(user)), (0, 0))

    async def test_a_removed_order_cannot_be_checked_out(self):
        item, user = await self.item(5, stock=1), await self.user(100)
        order = await self.order(user)
        await self.add_one(order, item, True)
        await self.ok("DELETE", f"/orders/remove/{order}")
        answer = await self.client.post(f"/orders/checkout/{order}")
        self.assertIn(answer.status, (404, 409), str(answer))
        self.assertEqual(await self.stock(item), 1)

    # Changes at once

    async def test_concurrent_adds_and_removals_lose_none(self):
        """50 adds of 3 units, and then 50 removals of one unit beside 50 adds of another item."""
        first, second = await self.item(5), await self.item(7)
        order = await self.order(await self.user())
        add = f"/orders/addItem/{order}/{first}/3"
        await asyncio.gather(*(self.ok("POST", add) for _ in range(50)))
        removals = [self.ok("DELETE", f"/orders/removeItem/{order}/{first}") for _ in range(50)]
        adds = [self.ok("POST", f"/orders/addItem/{order}/{second}/1") for _ in range(50)]
        await asyncio.gather(*removals, *adds)
        found = await self.ok("GET", f"/orders/find/{order}")
        self.assertEqual((dict(found["items"]), found["total_cost"]), ({first: 100, second: 50}, 100 * 5 + 50 * 7))

    async def test_concurrent_deposits_and_withdrawals_lose_none(self):
        item, user = await self.item(5, stock=50), await self.user(50)
        await asyncio.gather(
            *(self.ok("POST", f"/stock/add/{item}/3") for _ in range(50)),
            *(self.ok("POST", f"/stock/subtract/{item}/1") for _ in range(50)),
            *(self.ok("POST", f"/payment/add_funds/{user}/3") for _ in range(50)),
            *(self.ok("POST", f"/payment/pay/{user}/1") for _ in range(50)))
        self.assertEqual((await self.stock(item), await self.credit(user)), (150, 150))

    async def test_whoever_was_told_reads_it(self):
        """After each of 100 concurrent checkouts: the order is paid, and the user of its own has paid."""
        item = await self.item(5, stock=100)

        async def buy():
            user = await self.user(5)
            order = await self.order(user)
            await self.add_one(order, item, True)
            before = await self.stock(item)
            await self.ok("POST", f"/orders/checkout/{order}")
            self.assertTrue(await self.is_paid(order))
            self.assertEqual(await self.credit(user), 0)
            self.assertLess(await self.stock(item), before)

        await asyncio.gather(*(buy() for _ in range(100)))
        self.assertEqual(await self.stock(item), 0)

    # Amounts and direct payments

    async def test_money_is_exact_and_rounded_half_to_even(self):
        """Load tests of earlier years send prices such as 7.2334981."""
        for text, expected in (
            ("7.2334981", "7.23"), ("0.125", "0.12"), ("0.135", "0.14"), ("5.00", "5"), ("5", "5"), ("12.5", "12.5"),
        ):
            item = await self.item(text)
            self.assertEqual(Decimal((await self.ok("GET", f"/stock/find/{item}"))["price"]), Decimal(expected))
        item, user = await self.item("7.2334981", stock=10), await self.user("21.70")
        order = await self.order(user)
        await self.ok("POST", f"/orders/addItem/{order}/{item}/3")
        self.assertEqual((await self.ok("GET", f"/orders/find/{order}"))["total_cost"], Decimal("21.69"))
        await self.ok("POST", f"/orders/checkout/{order}")
        self.assertEqual(await self.credit(user), Decimal("0.01"))

    async def test_whole_amounts_are_json_integers(self):
        item = await self.item("5.00", stock=1)
        answer = await self.client.get(f"/stock/find/{item}")
        self.assertIsInstance(answer.json()["price"], int, str(answer))

    async def test_malformed_and_unknown_things_are_refused_without_effect(self):
        item, user = await self.item(5, stock=1), await self.user(1)
        order = await self.order(user)
        for method, path, status in (
            ("POST", f"/stock/add/{item}/0", 400), ("POST", f"/stock/add/{item}/-1", 400),
            ("POST", f"/stock/add/{item}/1.5", 400), ("POST", f"/stock/subtract/{item}/2", 409),
            ("POST", f"/payment/add_funds/{user}/0", 400), ("POST", f"/payment/pay/{user}/2", 409),
            ("POST", "/stock/add/nothing/1", 404), ("GET", "/stock/find/nothing", 404),
            ("GET", "/payment/find_user/nobody", 404), ("POST", "/orders/create/nobody", 404),
            ("POST", f"/orders/addItem/{order}/nothing/1", 404), ("POST", "/orders/checkout/none", 404),
            ("GET", f"/orders/checkout/{order}", 405), ("GET", "/nowhere", 404),
        ):
            answer = await self.client.request(method, path)
            self.assertEqual(answer.status, status, f"{method} {path}: {answer}")
            self.assertIsNotNone(answer.problem, f"{method} {path}: {answer}")
        self.assertEqual((await self.stock(item), await self.credit(user)), (1, 1))

    async def test_a_direct_payment_is_made_once_and_given_back_once(self):
        """It does not pay the order."""
        user = await self.user(10)
        order = await self.order(user)
        await self.ok("POST", f"/payment/pay/{user}/{order}/4")
        self.assertTrue((await self.ok("POST", f"/payment/status/{user}/{order}"))["paid"])
        self.assertFalse(await self.is_paid(order))
        await self.refused("POST", f"/payment/pay/{user}/{order}/4", "already-paid-directly")
        for _ in range(2):
            await self.ok("POST", f"/payment/cancel/{user}/{order}")
        self.assertFalse((await self.ok("GET", f"/payment/status/{user}/{order}"))["paid"])
        self.assertEqual(await self.credit(user), 10)

    async def test_what_a_checkout_paid_cannot_be_cancelled(self):
        item, user = await self.item(5, stock=1), await self.user(5)
        order = await self.order(user)
        await self.add_one(order, item, True)
        await self.ok("POST", f"/orders/checkout/{order}")
        self.assertTrue((await self.ok("GET", f"/payment/status/{user}/{order}"))["paid"])
        await self.refused("POST", f"/payment/cancel/{user}/{order}", "paid-by-checkout")
        self.assertEqual(await self.credit(user), 0)
