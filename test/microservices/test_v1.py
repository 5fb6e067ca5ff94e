"""The JSON API below /v1: the same shop for people who integrate it."""

import unittest

from shop import V1Case, ask, at_once, new_key


class AccountTests(V1Case):
    def test_an_item_is_made_shown_and_adjusted(self):
        made = self.sent("POST", "/items", {"price": 7.25, "stock": 3}, 201)
        item = made.json()["id"]
        self.assertEqual(made.json(), {"id": item, "price": "7.25", "stock": 3, "held": 0, "available": 3})
        self.assertEqual(made.headers["location"], f"/v1/items/{item}")
        self.assertEqual(self.sent("GET", f"/items/{item}").json(), made.json())
        self.assertEqual(self.sent("POST", f"/items/{item}/adjustments", {"units": -2, "reason": "broken"}).json(),
                         {"item_id": item, "units": -2})
        self.wrong("POST", f"/items/{item}/adjustments", {"units": -2}, "out-of-stock", 409)
        self.sent("POST", f"/items/{item}/adjustments", {"units": 4})
        self.assertEqual(self.sent("GET", f"/items/{item}").json()["stock"], 5)
        self.assertEqual(self.stock(item), 5, "it is the same shop")
        self.wrong("GET", "/items/nothing", None, "unknown-item", 404)

    def test_a_user_is_made_shown_and_adjusted(self):
        made = self.sent("POST", "/users", None, 201).json()
        user = made["id"]
        self.assertEqual(made, {"id": user, "credit": "0.00", "held": "0.00", "available": "0.00"})
        self.sent("POST", f"/users/{user}/adjustments", {"amount": "7.25"})
        self.assertEqual(self.sent("POST", f"/users/{user}/adjustments", {"amount": -2}).json(), {"user_id": user, "amount": "-2.00"})
        self.wrong("POST", f"/users/{user}/adjustments", {"amount": "-5.26"}, "out-of-credit", 409)
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["credit"], "5.25")
        self.wrong("GET", "/users/nobody", None, "unknown-user", 404)

    def test_a_body_that_is_not_as_it_should_be_is_refused_and_pointed_to(self):
        self.wrong("POST", "/items", {"price": "5", "stok": 3}, "malformed-request", pointer="/stok")
        self.wrong("POST", "/items", {"price": "5.001"}, "malformed-request", pointer="/price")
        self.wrong("POST", "/items", b'{"price":1,"price":2}', "malformed-request", pointer="")
        self.wrong("POST", "/items", b"{", "malformed-request", pointer="")
        self.wrong("POST", "/orders", {"user_id": "u", "lines": [{"item_id": "a", "units": 0}]}, "malformed-request",
                   pointer="/lines/0/units")


class OrderTests(V1Case):
    def test_an_order_is_made_with_its_lines_changed_and_paid(self):
        item, other, user = self.new_item("2.50", 9), self.new_item("1.00", 9), self.new_user("20")
        made = self.sent("POST", "/orders", {"user_id": user, "lines": self.lines(item)}, 201)
        order = made.json()["id"]
        self.assertEqual(made.headers["location"], f"/v1/orders/{order}")
        shown = self.sent("GET", f"/orders/{order}")
        self.assertEqual((shown.json(), shown.headers["etag"]), (made.json(), made.headers["etag"]))
        self.assertEqual((made.json()["state"], made.json()["total"], made.json()["paid_at"]), ("open", "2.50", None))
        changed = self.sent("PUT", f"/orders/{order}/lines", {"lines": self.lines(item, other)}, tag=made.headers["etag"])
        self.assertEqual(changed.json()["total"], "3.50")
        self.wrong("PUT", f"/orders/{order}/lines", {"lines": []}, "changed-since", 412, tag=made.headers["etag"])
        paid = self.sent("POST", f"/orders/{order}/checkout").json()
        self.assertEqual((paid["state"], paid["lines"]), ("paid", [
            {"item_id": item, "units": 1, "unit_price": "2.50", "refunded_units": 0},
            {"item_id": other, "units": 1, "unit_price": "1.00", "refunded_units": 0}]))
        self.assertIsNotNone(paid["paid_at"])
        self.assertEqual(self.sent("POST", f"/orders/{order}/checkout").json(), paid)
        self.wrong("PUT", f"/orders/{order}/lines", {"lines": []}, "order-paid", 409)
        self.wrong("DELETE", f"/orders/{order}", None, "order-paid", 409)
        self.assertEqual((self.sent("GET", f"/users/{user}").json()["credit"], self.stock(item)), ("16.50", 8))
        timeline = self.sent("GET", f"/orders/{order}/timeline").json()
        self.assertEqual((timeline["state"], timeline["total_cost"]), ("paid", "3.50"))

    def test_a_removed_order_stays_to_be_seen(self):
        order = self.sent("POST", "/orders", {"user_id": self.new_user(), "lines": []}, 201).json()["id"]
        self.assertEqual(self.sent("DELETE", f"/orders/{order}").json()["state"], "removed")
        self.assertEqual(self.sent("GET", f"/orders/{order}").json()["state"], "removed")
        self.wrong("POST", f"/orders/{order}/checkout", None, "order-removed", 409)

    def test_creation_and_checkout_in_one_request(self):
        item, user, key = self.new_item("5", 1), self.new_user("4"), new_key()
        body = {"user_id": user, "lines": self.lines(item), "checkout": True}
        self.wrong("POST", "/orders", body, "malformed-request", pointer="/checkout")
        refused = self.sent("POST", "/orders", body, 201, key=key).json()
        self.assertEqual((refused["state"], refused["checkout_problem"]["type"]), ("open", "/problems/out-of-credit"))
        self.sent("POST", f"/users/{user}/adjustments", {"amount": 1})
        paid = self.sent("POST", "/orders", body, 201, key=key).json()
        self.assertEqual((paid["id"], paid["state"]), (refused["id"], "paid"))
        self.assertNotIn("checkout_problem", paid)
        again = self.sent("POST", "/orders", body, 201, key=key)
        self.assertEqual((again.json(), again.headers["idempotent-replayed"]), (paid, "true"))
        self.wrong("POST", "/orders", body | {"lines": []}, "idempotency-key-reused", 422, key=key)
        self.assertEqual((self.sent("GET", f"/users/{user}").json()["credit"], self.stock(item)), ("0.00", 0))

    def test_many_at_once_under_one_key_make_one_order(self):
        item, user, key = self.new_item("5", 10), self.new_user("50"), new_key()
        body = {"user_id": user, "lines": self.lines(item), "checkout": True}
        answers = at_once(*[lambda: ask("POST", "/v1/orders", key=key, body=body)] * 20)
        self.assertEqual({(answer.status, answer.json()["id"]) for answer in answers}, {(201, answers[0].json()["id"])})
        self.assertEqual((self.sent("GET", f"/users/{user}").json()["credit"], self.stock(item)), ("45.00", 9))

    def test_what_is_not_there_makes_no_order(self):
        item, user = self.new_item(), self.new_user()
        self.wrong("POST", "/orders", {"user_id": "nobody", "lines": []}, "unknown-user", 404)
        self.wrong("POST", "/orders", {"user_id": user, "lines": self.lines(item, "nothing")}, "unknown-item", 404)
        self.wrong("GET", "/orders/nothing", None, "unknown-order", 404)


class RefundTests(V1Case):
    def paid(self, units: int = 3) -> tuple:
        """An order for so many units at 2.50, the item and the user."""
        item, user = self.new_item("2.50", units), self.new_user("100")
        body = {"user_id": user, "lines": [{"item_id": item, "units": units}], "checkout": True}
        return self.sent("POST", "/orders", body, 201, key=new_key()).json()["id"], item, user

    def test_an_order_is_refunded_in_parts_and_never_more_than_was_paid(self):
        order, item, user = self.paid()
        refund = self.sent("POST", f"/orders/{order}/refunds", {"lines": [{"item_id": item, "units": 1}], "reason": "late"}, 201).json()
        self.assertEqual((refund["amount"], refund["reason"], refund["restock"]), ("2.50", "late", True))
        shown = self.sent("GET", f"/orders/{order}").json()
        self.assertEqual((shown["state"], shown["refunded"], shown["lines"][0]["refunded_units"]), ("partly_refunded", "2.50", 1))
        self.wrong("POST", f"/orders/{order}/refunds", {"lines": [{"item_id": item, "units": 3}]}, "refund-exceeds-order", 409)
        rest = self.sent("POST", f"/orders/{order}/refunds", {"restock": False}, 201).json()
        self.assertEqual((rest["amount"], rest["lines"][0]["units"]), ("5.00", 2))
        self.wrong("POST", f"/orders/{order}/refunds", None, "nothing-to-refund", 409)
        self.assertEqual(self.sent("GET", f"/orders/{order}").json()["state"], "refunded")
        self.assertEqual(self.sent("GET", f"/orders/{order}/refunds").json()["data"], [refund, rest])
        self.assertEqual((self.sent("GET", f"/users/{user}").json()["credit"], self.stock(item)), ("100.00", 1))
        self.wrong("POST", f"/orders/{order}/checkout", None, "order-refunded", 409)
        self.assertTrue(self.is_paid(order), "the course's API knows paid orders only")

    def test_a_refund_under_a_key_is_made_once(self):
        order, item, user = self.paid()
        key, body = new_key(), {"lines": [{"item_id": item, "units": 1}]}
        first = self.sent("POST", f"/orders/{order}/refunds", body, 201, key=key)
        again = self.sent("POST", f"/orders/{order}/refunds", body, 201, key=key)
        self.assertEqual((again.json(), again.headers["idempotent-replayed"]), (first.json(), "true"))
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["credit"], "95.00")

    def test_of_many_refunds_at_once_exactly_what_was_paid_comes_back(self):
        order, item, user = self.paid(10)
        answers = at_once(*[
            lambda: ask("POST", f"/v1/orders/{order}/refunds", body={"lines": [{"item_id": item, "units": 1}]})] * 25)
        self.assertEqual(sorted(answer.status for answer in answers), [201] * 10 + [409] * 15)
        self.assertEqual((self.sent("GET", f"/users/{user}").json()["credit"], self.stock(item)), ("100.00", 10))

    def test_what_is_not_paid_is_not_refunded(self):
        order = self.sent("POST", "/orders", {"user_id": self.new_user(), "lines": []}, 201).json()["id"]
        self.wrong("POST", f"/orders/{order}/refunds", None, "order-not-paid", 409)
        self.wrong("POST", "/orders/nothing/refunds", None, "unknown-order", 404)


class ListTests(V1Case):
    def pages(self, path: str) -> list:
        """All entries, page by page."""
        entries, cursor = [], ""
        while cursor is not None:
            page = self.sent("GET", path + (f"&cursor={cursor}" if cursor else "")).json()
            entries += page["data"]
            cursor = page["next_cursor"]
        return entries

    def test_orders_of_a_user_are_listed_newest_first_and_by_state(self):
        user = self.new_user("100")
        orders = [self.sent("POST", "/orders", {"user_id": user, "lines": []}, 201).json()["id"] for _ in range(7)]
        self.sent("DELETE", f"/orders/{orders[2]}")
        for limit in (1, 3, 7, 200):
            found = self.pages(f"/orders?user_id={user}&limit={limit}")
            self.assertEqual({order["id"] for order in found}, set(orders))
            self.assertEqual(len(found), len(orders))
            times = [order["created_at"] for order in found]
            self.assertEqual(times, sorted(times, reverse=True))
        self.assertEqual([order["id"] for order in self.pages(f"/orders?user_id={user}&state=removed&limit=2")], [orders[2]])
        self.assertEqual(self.pages(f"/orders?user_id={user}&state=paid&limit=2"), [])

    def test_items_and_users_are_listed(self):
        item, user = self.new_item("1", 2), self.new_user("3")
        self.assertIn(item, {entry["id"] for entry in self.pages("/items?limit=200")})
        self.assertIn(user, {entry["id"] for entry in self.pages("/users?limit=200")})

    def test_a_query_that_makes_no_sense_is_refused(self):
        for query in ("limit=0", "limit=201", "limit=x", "cursor=x", "state=lost", "user_id=a%20b", "limit=1&limit=2", "what=1", "limit"):
            self.wrong("GET", f"/orders?{query}", None, "malformed-request")


if __name__ == "__main__":
    unittest.main()
