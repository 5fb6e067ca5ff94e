"""Orders before their checkout: what is put into them and taken out again."""

import unittest
from decimal import Decimal

from shop import ShopCase, ask, at_once


class OrderTests(ShopCase):
    def test_a_new_order_is_empty_and_unpaid(self):
        user = self.user()
        order = self.order(user)
        self.assertEqual(self.found(f"/orders/find/{order}"), {
            "order_id": order, "paid": False, "items": [], "user_id": user, "total_cost": 0})

    def test_items_are_added_in_the_way_of_either_generation(self):
        """Without a number, as clients of 2021 and 2022 do it, and with one. Neither takes anything from the stock."""
        first, second = self.item(5, stock=10), self.item(7, stock=10)
        order = self.order(self.user())
        self.ok("POST", f"/orders/addItem/{order}/{first}")
        self.ok("POST", f"/orders/addItem/{order}/{first}")
        self.ok("POST", f"/orders/addItem/{order}/{second}/3")
        found = self.found(f"/orders/find/{order}")
        self.assertEqual((dict(found["items"]), found["total_cost"]), ({first: 2, second: 3}, 2 * 5 + 3 * 7))
        self.assertEqual((self.stock(first), self.stock(second)), (10, 10))

    def test_an_item_is_removed_unit_by_unit_and_added_again(self):
        item = self.item(5, stock=10)
        order = self.order(self.user())
        self.add(order, item, 2)
        for left in ({item: 1}, {}):
            self.ok("DELETE", f"/orders/removeItem/{order}/{item}")
            self.assertEqual(self.units(order), left)
        self.add(order, item)
        self.assertEqual(self.found(f"/orders/find/{order}")["total_cost"], 5)

    def test_the_cost_is_exact(self):
        """Three times 7.23 are 21.69, however the price was written."""
        item = self.item("7.2334981")
        order = self.order(self.user())
        self.add(order, item, 3)
        self.assertEqual(self.found(f"/orders/find/{order}")["total_cost"], Decimal("21.69"))

    def test_what_is_not_there_cannot_be_ordered(self):
        item, user = self.item(5), self.user()
        order = self.order(user)
        self.refused("POST", "/orders/create/nobody", "unknown-user", 404)
        self.refused("POST", f"/orders/addItem/{order}/nothing/1", "unknown-item", 404)
        self.refused("POST", f"/orders/addItem/none/{item}/1", "unknown-order", 404)
        self.refused("GET", "/orders/find/none", "unknown-order", 404)
        self.assertEqual(self.units(order), {})

    def test_what_is_not_a_number_of_units_is_not_ordered(self):
        order, item = self.order(self.user()), self.item(5)
        for units in ("0", "-1", "1.5", "some"):
            self.refused("POST", f"/orders/addItem/{order}/{item}/{units}", "malformed-request", 400)
        self.assertEqual(self.units(order), {})

    def test_paths_and_methods_that_are_not_there_are_refused(self):
        self.refused("GET", f"/orders/checkout/{self.order(self.user())}", "wrong-method", 405)
        self.refused("GET", "/nowhere", "unknown-route", 404)

    def test_a_removed_order_cannot_be_checked_out(self):
        item, user = self.item(5, stock=1), self.user(100)
        order = self.order(user, item)
        self.ok("DELETE", f"/orders/remove/{order}")
        answer = ask("POST", f"/orders/checkout/{order}")
        self.assertIn(answer.status, (400, 404, 409), str(answer))
        self.assertEqual((self.stock(item), self.credit(user)), (1, 100))

    def test_additions_and_removals_at_once_lose_none(self):
        """50 times 3 units are added, and then 50 times one is removed while another item is added."""
        first, second = self.item(5), self.item(7)
        order = self.order(self.user())
        at_once(*[lambda: self.add(order, first, 3)] * 50)
        at_once(
            *[lambda: self.ok("DELETE", f"/orders/removeItem/{order}/{first}")] * 50,
            *[lambda: self.add(order, second)] * 50)
        found = self.found(f"/orders/find/{order}")
        self.assertEqual((dict(found["items"]), found["total_cost"]), ({first: 100, second: 50}, 100 * 5 + 50 * 7))


if __name__ == "__main__":
    unittest.main()
