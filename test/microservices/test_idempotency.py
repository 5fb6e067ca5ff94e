"""Idempotency-Key: a write that is sent again has one effect, and gets the same answer."""

import unittest

from shop import Answer, ShopCase, ask, at_once, new_key


class KeyTests(ShopCase):
    def first(self, path: str, key: str, method: str = "POST") -> Answer:
        """A write that is carried out."""
        answer = self.ok(method, path, key)
        self.assertNotIn("idempotent-replayed", answer.headers, f"{path}: {answer}")
        return answer

    def replay(self, path: str, key: str, first: Answer, method: str = "POST"):
        """The same answer, byte for byte, marked as what it is."""
        answer = ask(method, path, key)
        self.assertEqual(answer.headers.get("idempotent-replayed"), "true", f"{path}: {answer}")
        self.assertEqual(
            (answer.status, answer.headers["content-type"], answer.body), (first.status, first.headers["content-type"], first.body))

    def twice(self, path: str, method: str = "POST") -> dict:
        key = new_key()
        first = self.first(path, key, method)
        self.replay(path, key, first, method)
        return first.json()

    def test_every_kind_of_write_is_done_once_and_replayed(self):
        """Each twice under its key, in the order in which an order is made and paid; a removed one is replayed too."""
        item, user = self.item(5, stock=10), self.user(100)
        self.twice("/payment/create_user")
        self.twice("/stock/item/create/7.23")
        self.twice(f"/stock/add/{item}/5")
        self.twice(f"/stock/subtract/{item}/2")
        self.twice(f"/payment/add_funds/{user}/50")
        self.twice(f"/payment/pay/{user}/10")
        order = self.twice(f"/orders/create/{user}")["order_id"]
        self.twice(f"/payment/pay/{user}/{order}/4")
        self.twice(f"/payment/cancel/{user}/{order}")
        self.twice(f"/orders/addItem/{order}/{item}/3")
        self.twice(f"/orders/addItem/{order}/{item}")
        self.twice(f"/orders/removeItem/{order}/{item}", "DELETE")
        self.twice(f"/orders/checkout/{order}")
        self.twice(f"/orders/remove/{self.order(user)}", "DELETE")
        self.assertEqual((self.stock(item), self.credit(user)), (13 - 3, 140 - 15))

    def test_batch_init_is_replayed_and_does_not_put_back_what_was_sold_since(self):
        key = new_key()
        for path in ("/stock/batch_init/3/10/5", "/payment/batch_init/2/100", "/orders/batch_init/2/3/2/5"):
            first = self.first(path, key)
            if path.startswith("/stock"):
                self.ok("POST", "/stock/subtract/1/4")
            self.replay(path, key, first)
        self.assertEqual(self.stock("1"), 6)

    def test_creations_under_one_key_make_one_and_under_two_make_two(self):
        one, two = new_key(), new_key()
        for path, name in (("/payment/create_user", "user_id"), ("/stock/item/create/5", "item_id")):
            ids = [self.ok("POST", path, key).json()[name] for key in (one, one, two)]
            self.assertEqual((ids[0], len(set(ids))), (ids[1], 2))

    def test_another_request_under_a_key_is_refused_without_effect(self):
        item, user, key = self.item(5), self.user(), new_key()
        self.first(f"/stock/add/{item}/3", key)
        for path in (f"/stock/add/{item}/4", f"/stock/subtract/{item}/3"):
            self.refused("POST", path, "idempotency-key-reused", 422, key)
        self.first(f"/payment/add_funds/{user}/3", key)
        self.refused("POST", f"/payment/pay/{user}/3", "idempotency-key-reused", 422, key)
        self.assertEqual((self.stock(item), self.credit(user)), (3, 3))

    def test_the_same_key_names_another_write_on_another_account(self):
        users, items, key = [self.user(), self.user()], [self.item(5), self.item(5)], new_key()
        for user, item in zip(users, items):
            self.first(f"/payment/add_funds/{user}/3", key)
            self.first(f"/stock/add/{item}/3", key)
        self.assertEqual([self.credit(user) for user in users], [3, 3])
        self.assertEqual([self.stock(item) for item in items], [3, 3])

    def test_a_refusal_leaves_no_key(self):
        """Refused for stock and for credit, then done under the same key once it is possible."""
        item, user = self.item(5), self.user(5)
        order = self.order(user, item)
        taken, checked_out, paid = new_key(), new_key(), new_key()
        self.refused("POST", f"/stock/subtract/{item}/1", "out-of-stock", key=taken)
        self.refused("POST", f"/orders/checkout/{order}", "out-of-stock", key=checked_out)
        self.ok("POST", f"/stock/add/{item}/2")
        self.first(f"/stock/subtract/{item}/1", taken)
        self.ok("POST", f"/payment/pay/{user}/5")
        self.refused("POST", f"/orders/checkout/{order}", "out-of-credit", key=checked_out)
        self.refused("POST", f"/payment/pay/{user}/5", "out-of-credit", key=paid)
        self.ok("POST", f"/payment/add_funds/{user}/10")
        self.first(f"/payment/pay/{user}/5", paid)
        first = self.first(f"/orders/checkout/{order}", checked_out)
        self.replay(f"/orders/checkout/{order}", checked_out, first)
        self.assertEqual((self.stock(item), self.credit(user)), (0, 0))

    def test_a_quoted_key_is_the_same_as_a_bare_one(self):
        item, key = self.item(5), new_key()
        first = self.first(f"/stock/add/{item}/3", f'"{key}"')
        self.replay(f"/stock/add/{item}/3", key, first)
        self.assertEqual(self.stock(item), 3)

    def test_a_key_has_1_to_255_visible_characters(self):
        item = self.item(5)
        for key in ("k", "k" * 255, '"' + "q" * 255 + '"', "~!@#$%^&*()"):
            self.first(f"/stock/add/{item}/1", key)
        for key in ('""', "k" * 256, '"' + "q" * 256 + '"', "two words", '"open', "a\tb"):
            self.refused("POST", f"/stock/add/{item}/1", "malformed-request", 400, key)
        self.assertEqual(self.stock(item), 4)

    def test_duplicates_of_a_checkout_at_once_join_it(self):
        item, user, key = self.item(5, stock=10), self.user(100), new_key()
        path = f"/orders/checkout/{self.order(user, item)}"
        answers = at_once(*[lambda: self.ok("POST", path, key)] * 20)
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(200, answers[0].body)})
        self.replay(path, key, answers[0])
        self.assertEqual((self.stock(item), self.credit(user)), (9, 95))

    def test_a_read_takes_no_notice_of_a_key(self):
        item, key = self.item(5), new_key()
        for stock in range(3):
            answer = self.ok("GET", f"/stock/find/{item}", key)
            self.assertEqual((answer.json()["stock"], answer.headers.get("idempotent-replayed")), (stock, None))
            self.ok("POST", f"/stock/add/{item}/1")


if __name__ == "__main__":
    unittest.main()
