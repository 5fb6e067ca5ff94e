"""batch_init: many items, users and orders at once, under the ids 0, 1, 2 ... - those that were there before are replaced."""

import unittest

from shop import ShopCase


class BatchInitTests(ShopCase):
    items, users, orders = 10, 10, 20

    def setUp(self):
        self.ok("POST", f"/stock/batch_init/{self.items}/1000/3")
        self.ok("POST", f"/payment/batch_init/{self.users}/500")
        self.ok("POST", f"/orders/batch_init/{self.orders}/{self.items}/{self.users}/3")

    def test_items_and_users_have_what_was_asked_for(self):
        for item in range(self.items):
            self.assertEqual(self.found(f"/stock/find/{item}"), {"stock": 1000, "price": 3})
        for user in range(self.users):
            self.assertEqual(self.credit(str(user)), 500)

    def test_each_order_has_two_units_of_items_and_a_user_among_those_named(self):
        for order in range(self.orders):
            found = self.found(f"/orders/find/{order}")
            self.assertEqual((found["order_id"], found["paid"], found["total_cost"]), (str(order), False, 6))
            self.assertEqual(sum(units for _, units in found["items"]), 2)
            self.assertLessEqual({item for item, _ in found["items"]}, set(map(str, range(self.items))))
            self.assertIn(found["user_id"], map(str, range(self.users)))

    def test_the_orders_can_be_checked_out(self):
        sold, charged = dict.fromkeys(map(str, range(self.items)), 0), dict.fromkeys(map(str, range(self.users)), 0)
        for order in range(self.orders):
            found = self.found(f"/orders/find/{order}")
            self.check_out(str(order))
            charged[found["user_id"]] += 6
            for item, units in found["items"]:
                sold[item] += units
        self.assertEqual({item: 1000 - self.stock(item) for item in sold}, sold)
        self.assertEqual({user: 500 - self.credit(user) for user in charged}, charged)

    def test_a_second_time_all_is_new(self):
        self.check_out("0")
        self.setUp()
        self.assertFalse(self.is_paid("0"))
        self.assertEqual({self.stock(str(item)) for item in range(self.items)}, {1000})
        self.assertEqual({self.credit(str(user)) for user in range(self.users)}, {500})


if __name__ == "__main__":
    unittest.main()
