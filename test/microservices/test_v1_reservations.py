"""Reservations below /v1: the units of an order are held until a moment, and then bought or given back."""

import time
import unittest
from datetime import datetime

from shop import AT_ONCE_SECONDS, V1Case, ask, at_once, eventually, new_key

# What was reserved is back so long after its end, in shops of several processes. It is asked for a little longer.
GIVEN_BACK_SECONDS = 5


class ReservationTests(V1Case):
    def setUp(self):
        answer = ask("POST", "/v1/orders/nothing/reservation", body={"seconds": 1})
        if answer.status in (404, 405) and answer.problem != "unknown-order":
            self.skipTest("this shop has no reservations")

    # Words

    def new_order(self, user: str, units_by_item: dict) -> str:
        lines = [{"item_id": item, "units": units} for item, units in units_by_item.items()]
        return self.sent("POST", "/orders", {"user_id": user, "lines": lines}, 201).json()["id"]

    def reserved(self, order: str, seconds: int = 600, **headers) -> dict:
        return self.sent("POST", f"/orders/{order}/reservation", {"seconds": seconds}, **headers).json()

    def given_back(self, order: str, **headers) -> dict:
        return self.sent("DELETE", f"/orders/{order}/reservation", **headers).json()

    def state(self, order: str) -> str:
        return self.sent("GET", f"/orders/{order}").json()["state"]

    def until(self, order: str) -> datetime:
        return datetime.fromisoformat(self.sent("GET", f"/orders/{order}").json()["reserved_until"])

    def assert_units(self, item: str, stock: int, held: int):
        shown = self.sent("GET", f"/items/{item}").json()
        self.assertEqual((shown["stock"], shown["held"], shown["available"]), (stock, held, stock - held))

    def assert_contended(self, most_seconds: int, method: str, path: str, body=None):
        """It is refused at once, and says when it is worth another try."""
        started = time.monotonic()
        answer = self.wrong(method, path, body, "contended", 409)
        self.assertLess(time.monotonic() - started, AT_ONCE_SECONDS, f"{path} was refused late")
        self.assertIn(answer.retry_after, range(1, most_seconds + 1), f"{path}: {answer.headers}")

    # Tests

    def test_the_answer_to_a_reservation_is_the_reserved_order(self):
        item, user = self.new_item("2", 3), self.new_user()
        order = self.new_order(user, {item: 2})
        answer = self.sent("POST", f"/orders/{order}/reservation", {"seconds": 60})
        shown = self.sent("GET", f"/orders/{order}")
        self.assertEqual(answer.json()["state"], "reserved")
        self.assertEqual((answer.json(), answer.headers["etag"]), (shown.json(), shown.headers["etag"]))
        self.assertEqual(self.reserved(order)["state"], "reserved", "extended")
        self.assertEqual(self.given_back(order), self.sent("GET", f"/orders/{order}").json())

    def test_what_is_reserved_is_held_and_then_bought(self):
        item, user = self.new_item("2", 3), self.new_user("10")
        order = self.new_order(user, {item: 2})
        self.reserved(order, 60)
        shown = self.sent("GET", f"/orders/{order}").json()
        self.assertEqual((shown["state"], shown["paid_at"]), ("reserved", None))
        lasts = datetime.fromisoformat(shown["reserved_until"]) - datetime.fromisoformat(shown["created_at"])
        self.assertAlmostEqual(lasts.total_seconds(), 60, delta=10)
        self.assert_units(item, stock=3, held=2)
        self.assertEqual((self.stock(item), self.is_paid(order)), (3, False), "the course's API knows what is sold")
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["credit"], "10.00")
        paid = self.sent("POST", f"/orders/{order}/checkout").json()
        self.assertEqual((paid["state"], paid["reserved_until"]), ("paid", None))
        self.assert_units(item, stock=1, held=0)
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["credit"], "6.00")

    def test_again_extends_and_never_shortens(self):
        item = self.new_item(stock=3)
        order = self.new_order(self.new_user(), {item: 2})
        self.reserved(order, 60)
        first = self.until(order)
        self.reserved(order, 600)
        later = self.until(order)
        self.assertAlmostEqual((later - first).total_seconds(), 540, delta=10)
        self.reserved(order, 1)
        self.assertEqual((self.until(order), self.state(order)), (later, "reserved"))
        self.assert_units(item, stock=3, held=2)

    def test_it_is_given_back_on_demand_and_the_order_is_open_again(self):
        item, user = self.new_item("2", 3), self.new_user("10")
        order = self.new_order(user, {item: 2})
        self.assertEqual(self.given_back(order)["state"], "open", "nothing is held")
        self.reserved(order)
        for _ in range(2):
            back = self.given_back(order)
            self.assertEqual((back["state"], back["reserved_until"]), ("open", None))
            self.assert_units(item, stock=3, held=0)
        self.sent("PUT", f"/orders/{order}/lines", {"lines": self.lines(item)})
        self.reserved(order)
        self.assert_units(item, stock=3, held=1)
        self.given_back(order)
        self.check_out(order)
        self.assert_units(item, stock=2, held=0)

    def test_who_wants_what_others_have_reserved_is_refused_at_once(self):
        item, plenty, user = self.new_item("1", 3), self.new_item("1", 9), self.new_user("20")
        self.reserved(self.new_order(user, {item: 2}), 20)
        other = self.new_order(user, {plenty: 5, item: 2})
        for method, path, body in (
                ("POST", f"/orders/{other}/checkout", None), ("POST", f"/orders/{other}/reservation", {"seconds": 5}),
                ("POST", f"/items/{item}/adjustments", {"units": -2})):
            self.assert_contended(21, method, path, body)
        self.refused("POST", f"/orders/checkout/{other}", "contended")
        self.refused("POST", f"/stock/subtract/{item}/2", "contended")
        self.assert_units(plenty, stock=9, held=0)
        body = {"user_id": user, "lines": [{"item_id": item, "units": 2}], "checkout": True}
        made = self.sent("POST", "/orders", body, 201, key=new_key()).json()
        self.assertEqual((made["state"], made["checkout_problem"]["type"]), ("open", "/problems/contended"))
        self.check_out(self.new_order(user, {item: 1}))
        self.assert_units(item, stock=2, held=2)
        self.sent("POST", f"/items/{item}/adjustments", {"units": 2})
        self.check_out(other)

    def test_it_is_out_of_stock_only_if_the_whole_balance_does_not_suffice(self):
        item, plenty, user = self.new_item("1", 3), self.new_item("1", 9), self.new_user("20")
        self.reserved(self.new_order(user, {item: 3}), 3_600)
        beyond, within = self.new_order(user, {plenty: 1, item: 4}), self.new_order(user, {plenty: 1, item: 3})
        for path, body in (("checkout", None), ("reservation", {"seconds": 5})):
            self.wrong("POST", f"/orders/{beyond}/{path}", body, "out-of-stock", 409)
            self.assert_contended(60, "POST", f"/orders/{within}/{path}", body)
        self.wrong("POST", f"/items/{item}/adjustments", {"units": -4}, "out-of-stock", 409)
        self.assertEqual((self.state(beyond), self.state(within)), ("open", "open"))
        self.assert_units(plenty, stock=9, held=0)

    def test_refused_for_credit_the_reservation_stands(self):
        item, user = self.new_item("5", 2), self.new_user("9.99")
        order = self.new_order(user, {item: 2})
        self.reserved(order)
        until = self.until(order)
        for _ in range(2):
            self.wrong("POST", f"/orders/{order}/checkout", None, "out-of-credit", 409)
            self.assertEqual((self.state(order), self.until(order)), ("reserved", until))
            self.assert_units(item, stock=2, held=2)
        self.sent("POST", f"/users/{user}/adjustments", {"amount": "0.01"})
        self.assertEqual(self.sent("POST", f"/orders/{order}/checkout").json()["state"], "paid")
        self.assert_units(item, stock=0, held=0)
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["available"], "0.00")

    def test_a_reserved_order_is_not_changed(self):
        item, user = self.new_item("1", 9), self.new_user("9")
        order = self.new_order(user, {item: 2})
        self.reserved(order)
        before = self.sent("GET", f"/orders/{order}").json()
        self.wrong("PUT", f"/orders/{order}/lines", {"lines": []}, "order-reserved", 409)
        self.wrong("DELETE", f"/orders/{order}", None, "order-reserved", 409)
        for method, path in (
                ("POST", f"/orders/addItem/{order}/{item}/1"), ("DELETE", f"/orders/removeItem/{order}/{item}"),
                ("DELETE", f"/orders/remove/{order}"), ("POST", f"/payment/pay/{user}/{order}/2")):
            self.refused(method, path, "order-reserved")
        self.assertEqual(self.sent("GET", f"/orders/{order}").json(), before)
        self.given_back(order)
        self.add(order, item)
        self.assertEqual(self.units(order), {item: 3})

    def test_batch_init_replaces_nothing_that_is_reserved(self):
        item, user, order = "/stock/batch_init/1/9/1", "/payment/batch_init/1/9", "/orders/batch_init/1/1/1/1"
        self.addCleanup(ask, "DELETE", "/v1/orders/0/reservation")
        # What a run that was broken off has left.
        ask("DELETE", "/v1/orders/0/reservation")
        for path in (item, user, order):
            self.ok("POST", path)
        self.reserved("0")
        for path in (item, order):
            self.refused("POST", path, "open-saga")
        self.assertEqual(self.state("0"), "reserved")
        self.given_back("0")
        for path in (item, order):
            self.ok("POST", path)
        self.assert_units("0", stock=9, held=0)

    def test_what_cannot_be_bought_any_more_or_yet_is_not_reserved(self):
        item, user = self.new_item("1", 9), self.new_user("9")
        paid, removed, empty = self.new_order(user, {item: 1}), self.new_order(user, {item: 1}), self.new_order(user, {})
        self.check_out(paid)
        self.sent("DELETE", f"/orders/{removed}")
        for order, problem, problem_of_end, status in (
                (paid, "order-paid", "order-paid", 409), (removed, "order-removed", "order-removed", 409),
                (empty, "order-empty", None, 409), ("nothing", "unknown-order", "unknown-order", 404)):
            self.wrong("POST", f"/orders/{order}/reservation", {"seconds": 1}, problem, status)
            if problem_of_end:
                self.wrong("DELETE", f"/orders/{order}/reservation", None, problem_of_end, status)
        self.assertEqual(self.given_back(empty)["state"], "open")
        self.sent("POST", f"/orders/{paid}/refunds", None, 201)
        self.wrong("POST", f"/orders/{paid}/reservation", {"seconds": 1}, "order-refunded", 409)
        self.assert_units(item, stock=9, held=0)

    def test_a_time_that_makes_no_sense_is_refused_and_pointed_to(self):
        order = self.new_order(self.new_user(), {self.new_item(stock=1): 1})
        for body, pointer in (
                (None, ""), ({}, "/seconds"), ({"seconds": 0}, "/seconds"), ({"seconds": -1}, "/seconds"),
                ({"seconds": 86_401}, "/seconds"), ({"seconds": 1.5}, "/seconds"), ({"seconds": "5"}, "/seconds"),
                ({"seconds": 5, "second": 5}, "/second")):
            self.wrong("POST", f"/orders/{order}/reservation", body, "malformed-request", pointer=pointer)
        self.assertEqual(self.state(order), "open")
        self.reserved(order, 86_400)
        self.assertEqual(self.state(order), "reserved")
        self.given_back(order)

    def test_at_its_end_it_is_given_back_and_not_before(self):
        item, user = self.new_item("1", 2), self.new_user("9")
        order, other = self.new_order(user, {item: 2}), self.new_order(user, {item: 2})
        started = time.monotonic()
        self.reserved(order, 1)
        self.assert_contended(2, "POST", f"/orders/{other}/checkout")
        eventually(lambda: self.state(order) == "open", "the end of the reservation", 1 + 2 * GIVEN_BACK_SECONDS)
        seconds = time.monotonic() - started
        self.assertGreater(seconds, 1, "it was given back before its end")
        self.assertLess(seconds, 1 + GIVEN_BACK_SECONDS + 1, "it was given back late")
        # The order is open once the decision is made; the units follow.
        eventually(lambda: self.sent("GET", f"/items/{item}").json()["held"] == 0, "the return of the units", AT_ONCE_SECONDS)
        self.check_out(other)
        self.wrong("POST", f"/orders/{order}/checkout", None, "out-of-stock", 409)
        self.sent("POST", f"/items/{item}/adjustments", {"units": 2})
        self.check_out(order)
        self.assert_units(item, stock=0, held=0)

    def test_under_a_key_it_is_done_once(self):
        item = self.new_item("1", 5)
        order = self.new_order(self.new_user("9"), {item: 2})
        path, key, end = f"/orders/{order}/reservation", new_key(), new_key()
        self.reserved(order, 60, key=key)
        until = self.until(order)
        again = self.sent("POST", path, {"seconds": 60}, key=key)
        self.assertEqual(again.headers["idempotent-replayed"], "true")
        self.wrong("POST", path, {"seconds": 61}, "idempotency-key-reused", 422, key=key)
        self.assertEqual(self.until(order), until, "a repetition extends nothing")
        self.assertEqual(self.given_back(order, key=end)["state"], "open")
        self.assertEqual(self.sent("POST", path, {"seconds": 60}, key=key).headers["idempotent-replayed"], "true")
        self.assert_units(item, stock=5, held=0)
        self.reserved(order)
        self.assertEqual(self.sent("DELETE", path, key=end).headers["idempotent-replayed"], "true")
        self.assert_units(item, stock=5, held=2)
        self.wrong("POST", path, {"seconds": 60}, "idempotency-key-reused", 422, key=end)

    def test_lists_and_timeline_tell_of_it(self):
        item, user = self.new_item("1", 9), self.new_user("9")
        order, other = self.new_order(user, {item: 1}), self.new_order(user, {item: 1})

        def listed(state: str) -> list:
            return [found["id"] for found in self.sent("GET", f"/orders?user_id={user}&state={state}").json()["data"]]

        self.reserved(order, 60)
        self.reserved(order, 70)
        self.assertEqual((listed("reserved"), listed("open")), ([order], [other]))
        self.assertEqual(self.found(f"/orders/explain/{order}")["state"], "reserved")
        self.given_back(order)
        self.reserved(order)
        self.check_out(order)
        self.assertEqual((listed("reserved"), listed("paid")), ([], [order]))
        timeline = self.sent("GET", f"/orders/{order}/timeline").json()
        self.assertEqual(timeline["state"], "paid")
        self.assertEqual([attempt["outcome"] for attempt in timeline["attempts"]], [
            "reserved", "reserved", "given_back", "reserved", "paid"])

    def test_of_many_at_once_as_many_reserve_as_there_are_units(self):
        item, user = self.new_item("1", 10), self.new_user("10")
        orders = [self.new_order(user, {item: 1}) for _ in range(30)]
        answers = at_once(*[
            lambda order=order: ask("POST", f"/v1/orders/{order}/reservation", body={"seconds": 600}) for order in orders])
        self.assertEqual(sorted((answer.status, answer.problem) for answer in answers if answer.status != 200),
                         [(409, "contended")] * 20)
        self.assert_units(item, stock=10, held=10)
        lucky = [order for order, answer in zip(orders, answers) if answer.status == 200]
        at_once(*[lambda order=order: self.check_out(order) for order in lucky[:6]],
                *[lambda order=order: self.given_back(order) for order in lucky[6:]])
        self.assert_units(item, stock=4, held=0)
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["available"], "4.00")

    def test_whatever_is_asked_of_one_order_at_once_it_is_paid_once(self):
        item, user = self.new_item("1", 9), self.new_user("9")
        order = self.new_order(user, {item: 2})
        path = f"/v1/orders/{order}/reservation"
        answers = at_once(*[
            lambda: ask("POST", path, body={"seconds": 600}), lambda: ask("POST", f"/v1/orders/{order}/checkout"),
            lambda: ask("DELETE", path)] * 10)
        self.assertLessEqual({(answer.status, answer.problem) for answer in answers}, {(200, None), (409, "order-paid")})
        self.assertEqual({answer.status for answer in answers[1::3]}, {200}, "all checkouts")
        self.assertEqual(self.state(order), "paid")
        self.assert_units(item, stock=7, held=0)
        self.assertEqual(self.sent("GET", f"/users/{user}").json()["available"], "7.00")


if __name__ == "__main__":
    unittest.main()
