"""Payment: users, their credit, and payments that are made without a checkout."""

import unittest

from shop import ShopCase, at_once


class PaymentTests(ShopCase):
    def test_a_new_user_has_no_credit(self):
        user = self.user()
        self.assertEqual(self.found(f"/payment/find_user/{user}"), {"user_id": user, "credit": 0})

    def test_credit_is_added_and_paid(self):
        user = self.user(15)
        self.ok("POST", f"/payment/pay/{user}/10")
        self.assertEqual(self.credit(user), 5)

    def test_more_than_the_credit_is_not_paid_and_neither_is_a_part(self):
        user = self.user(10)
        self.refused("POST", f"/payment/pay/{user}/11", "out-of-credit")
        self.refused("POST", f"/payment/pay/{user}/{self.order(user)}/11", "out-of-credit")
        self.assertEqual(self.credit(user), 10)

    def test_what_is_not_an_amount_changes_nothing(self):
        user = self.user(3)
        for amount in ("0", "-1", "much"):
            for action in ("add_funds", "pay"):
                self.refused("POST", f"/payment/{action}/{user}/{amount}", "malformed-request", 400)
        self.assertEqual(self.credit(user), 3)

    def test_a_user_who_is_not_there_is_not_made_up(self):
        for method, path in (("GET", "find_user/nobody"), ("POST", "add_funds/nobody/1"), ("POST", "pay/nobody/1")):
            self.refused(method, f"/payment/{path}", "unknown-user", 404)

    def test_changes_at_once_lose_none(self):
        user = self.user(50)
        at_once(*[
            lambda change=change: self.ok("POST", f"/payment/{change}")
            for change in (f"add_funds/{user}/3", f"pay/{user}/1") for _ in range(50)])
        self.assertEqual(self.credit(user), 50 + 150 - 50)

    def test_a_direct_payment_is_made_once_and_given_back_once(self):
        """It does not pay the order."""
        user = self.user(10)
        order = self.order(user)
        self.ok("POST", f"/payment/pay/{user}/{order}/4")
        for method in ("GET", "POST"):
            self.assertTrue(self.ok(method, f"/payment/status/{user}/{order}").json()["paid"])
        self.assertFalse(self.is_paid(order))
        self.refused("POST", f"/payment/pay/{user}/{order}/4", "already-paid-directly")
        self.assertEqual(self.credit(user), 6)
        for _ in range(2):
            self.ok("POST", f"/payment/cancel/{user}/{order}")
        self.assertFalse(self.found(f"/payment/status/{user}/{order}")["paid"])
        self.assertEqual(self.credit(user), 10)

    def test_what_a_checkout_paid_cannot_be_cancelled(self):
        user = self.user(5)
        order = self.order(user, self.item(5, stock=1))
        self.check_out(order)
        self.assertTrue(self.found(f"/payment/status/{user}/{order}")["paid"])
        self.refused("POST", f"/payment/cancel/{user}/{order}", "paid-by-checkout")
        self.assertEqual(self.credit(user), 0)


if __name__ == "__main__":
    unittest.main()
