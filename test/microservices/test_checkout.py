"""Checkout: all of it happens, once, or nothing does."""

import unittest

from shop import ShopCase, ask, at_once


class CheckoutTests(ShopCase):
    def test_a_checkout_sells_each_item_charges_the_user_and_pays_the_order(self):
        first, second, user = self.item(5, stock=10), self.item(7, stock=3), self.user(100)
        order = self.order(user, first)
        self.add(order, second, 3)
        self.check_out(order)
        self.assertEqual((self.stock(first), self.stock(second), self.credit(user)), (9, 0, 100 - 26))
        self.assertTrue(self.is_paid(order))

    def test_a_checkout_fails_for_want_of_stock_and_leaves_all_as_it_was(self):
        there, gone, user = self.item(5, stock=10), self.item(7, stock=1), self.user(100)
        order = self.order(user, there, gone)
        self.ok("POST", f"/stock/subtract/{gone}/1")
        self.refused("POST", f"/orders/checkout/{order}", "out-of-stock")
        self.assert_untouched(order, {there: 10, gone: 0}, user, 100)

    def test_a_checkout_fails_for_want_of_credit_and_leaves_all_as_it_was(self):
        first, second, user = self.item(5, stock=10), self.item(7, stock=1), self.user(11)
        order = self.order(user, first, second)
        self.refused("POST", f"/orders/checkout/{order}", "out-of-credit")
        self.assert_untouched(order, {first: 10, second: 1}, user, 11)

    def test_what_a_failed_checkout_wanted_can_be_sold_to_others(self):
        there, gone, user, other = self.item(5, stock=1), self.item(7), self.user(100), self.user(5)
        self.refused("POST", f"/orders/checkout/{self.order(user, there, gone)}", "out-of-stock")
        self.check_out(self.order(other, there))
        self.ok("POST", f"/payment/pay/{user}/100")

    def test_an_order_that_failed_succeeds_when_stock_and_credit_were_added(self):
        there, item, user = self.item(5, stock=15), self.item(5), self.user(15)
        order = self.order(user, there)
        self.add(order, item, 2)
        self.refused("POST", f"/orders/checkout/{order}", "out-of-stock")
        self.ok("POST", f"/stock/add/{item}/15")
        self.ok("POST", f"/payment/pay/{user}/15")
        self.refused("POST", f"/orders/checkout/{order}", "out-of-credit")
        self.assert_untouched(order, {there: 15, item: 15}, user, 0)
        self.ok("POST", f"/payment/add_funds/{user}/15")
        self.check_out(order)
        self.assertEqual((self.stock(there), self.stock(item), self.credit(user)), (14, 13, 0))
        self.assertTrue(self.is_paid(order))

    def assert_untouched(self, order: str, stock: dict, user: str, credit: int):
        self.assertEqual({item: self.stock(item) for item in stock}, stock)
        self.assertEqual((self.credit(user), self.is_paid(order)), (credit, False))

    def test_an_item_that_was_taken_out_and_put_back_is_sold_once(self):
        item, user = self.item(5, stock=10), self.user(100)
        order = self.order(user, item)
        self.ok("DELETE", f"/orders/removeItem/{order}/{item}")
        self.ok("POST", f"/orders/addItem/{order}/{item}")
        self.check_out(order)
        self.assertEqual((self.stock(item), self.credit(user), self.units(order)), (9, 95, {item: 1}))

    # Again

    def test_a_paid_order_is_checked_out_again_without_effect(self):
        item, user = self.item(5, stock=10), self.user(100)
        order = self.order(user, item)
        for _ in range(3):
            self.check_out(order)
        self.assertEqual((self.stock(item), self.credit(user)), (9, 95))

    def test_a_paid_order_stays_as_it_is(self):
        item = self.item(5, stock=10)
        order = self.order(self.user(100), item)
        self.check_out(order)
        self.refused("POST", f"/orders/addItem/{order}/{item}/1", "order-paid")
        self.refused("DELETE", f"/orders/removeItem/{order}/{item}", "order-paid")
        self.refused("DELETE", f"/orders/remove/{order}", "order-paid")
        self.assertEqual(self.units(order), {item: 1})

    def test_checkouts_of_one_order_at_once_have_one_effect_and_one_outcome(self):
        item, user = self.item(5, stock=10), self.user(100)
        order = self.order(user, item)
        at_once(*[lambda: self.check_out(order)] * 50)
        self.assertEqual((self.stock(item), self.credit(user)), (9, 95))

    # At the edges

    def test_an_order_without_items_or_one_that_is_not_there_cannot_be_checked_out(self):
        self.refused("POST", f"/orders/checkout/{self.order(self.user(100))}", "order-empty")
        self.refused("POST", "/orders/checkout/none", "unknown-order", 404)

    def test_an_order_that_costs_nothing_needs_no_credit(self):
        item, user = self.item(0, stock=1), self.user()
        self.check_out(self.order(user, item))
        self.assertEqual((self.stock(item), self.credit(user)), (0, 0))

    def test_hundredths_are_charged_exactly(self):
        item, user = self.item("7.2334981", stock=3), self.user("21.70")
        order = self.order(user)
        self.add(order, item, 3)
        self.check_out(order)
        self.assertEqual(str(self.credit(user)), "0.01")

    # Many at once

    def test_whoever_was_told_that_an_order_is_paid_reads_it(self):
        """Each of 100 buyers at once, right after the checkout."""
        item = self.item(5, stock=100)

        def buy():
            user = self.user(5)
            order = self.order(user, item)
            before = self.stock(item)
            self.check_out(order)
            self.assertTrue(self.is_paid(order))
            self.assertEqual(self.credit(user), 0)
            self.assertLess(self.stock(item), before)

        at_once(*[buy] * 100)
        self.assertEqual(self.stock(item), 0)

    def test_of_many_who_want_the_last_units_as_many_get_one_as_there_are(self):
        item = self.item(5, stock=10)
        users = [self.user(5) for _ in range(50)]
        orders = [self.order(user, item) for user in users]
        answers = at_once(*[lambda order=order: ask("POST", f"/orders/checkout/{order}") for order in orders])
        self.assertEqual(sum(200 <= answer.status < 300 for answer in answers), 10)
        self.assertEqual(self.stock(item), 0)
        for user, order, answer in zip(users, orders, answers):
            is_sold = 200 <= answer.status < 300
            self.assertEqual((self.credit(user), self.is_paid(order)), (0, True) if is_sold else (5, False), str(answer))

    def test_of_many_orders_of_one_user_as_many_are_paid_as_the_credit_allows(self):
        item, user = self.item(5, stock=50), self.user(50)
        orders = [self.order(user, item) for _ in range(50)]
        answers = at_once(*[lambda order=order: ask("POST", f"/orders/checkout/{order}") for order in orders])
        self.assertEqual(sum(200 <= answer.status < 300 for answer in answers), 10)
        self.assertEqual((self.stock(item), self.credit(user)), (40, 0))


if __name__ == "__main__":
    unittest.main()
