"""Stock: items, their prices, and how many there are."""

import unittest
from decimal import Decimal

from shop import ShopCase, ask, at_once


class StockTests(ShopCase):
    def test_a_new_item_has_its_price_and_is_not_in_stock(self):
        self.assertEqual(self.found(f"/stock/find/{self.item(5)}"), {"stock": 0, "price": 5})

    def test_stock_is_added_and_taken_away(self):
        item = self.item(5, stock=50)
        self.ok("POST", f"/stock/subtract/{item}/15")
        self.assertEqual(self.stock(item), 35)
        self.ok("POST", f"/stock/subtract/{item}/35")
        self.assertEqual(self.stock(item), 0)

    def test_more_than_there_is_is_not_taken_away_and_neither_is_a_part(self):
        item = self.item(5, stock=10)
        self.refused("POST", f"/stock/subtract/{item}/11", "out-of-stock")
        self.assertEqual(self.stock(item), 10)

    def test_what_is_not_a_number_of_units_changes_nothing(self):
        item = self.item(5, stock=3)
        for units in ("0", "-1", "1.5", "many"):
            for action in ("add", "subtract"):
                self.refused("POST", f"/stock/{action}/{item}/{units}", "malformed-request", 400)
        self.assertEqual(self.stock(item), 3)

    def test_an_item_that_is_not_there_is_not_made_up(self):
        for method, path in (("GET", "find/nothing"), ("POST", "add/nothing/1"), ("POST", "subtract/nothing/1")):
            self.refused(method, f"/stock/{path}", "unknown-item", 404)

    def test_changes_at_once_lose_none(self):
        item = self.item(5, stock=50)
        at_once(*[
            lambda change=change: self.ok("POST", f"/stock/{change}")
            for change in (f"add/{item}/3", f"subtract/{item}/1") for _ in range(50)])
        self.assertEqual(self.stock(item), 50 + 150 - 50)

    def test_prices_are_exact_and_rounded_half_to_even(self):
        """Load tests of earlier years send prices such as 7.2334981."""
        for text, price in (
            ("7.2334981", "7.23"), ("0.125", "0.12"), ("0.135", "0.14"), ("5.00", "5"), ("12.5", "12.5"), ("0", "0"),
        ):
            found = self.found(f"/stock/find/{self.item(text)}")
            self.assertEqual(Decimal(found["price"]), Decimal(price), f"of {text}")

    def test_whole_prices_are_json_integers(self):
        answer = ask("GET", f"/stock/find/{self.item('5.00', stock=1)}")
        self.assertIsInstance(answer.json()["price"], int, str(answer))


if __name__ == "__main__":
    unittest.main()
