"""What all tests of this suite share: how to ask the shop, and words for what is asked.

The shop is found by SHOP_URL, or by GATEWAY_URL in the `urls.json` beside this file.
"""

import json
import os
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

# Longer than any checkout may take.
PATIENCE_SECONDS = 60  # derived: longest deadline + 30 s
# So many requests are on their way at once where a test wants very many at once.
CLIENTS = 50
# Who is refused at once does not wait for others: much less than the deadline.
AT_ONCE_SECONDS = 2


def gateway_url() -> str:
    return os.environ.get("SHOP_URL") or json.loads(Path(__file__).with_name("urls.json").read_text())["GATEWAY_URL"]


_GATEWAY = urlsplit(gateway_url())


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    def json(self) -> dict:
        """The body; numbers with a fraction are exact decimals."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def problem(self):
        """The last part of a problem's type, such as `out-of-stock`, from shops that say why (RFC 9457); otherwise None."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return self.json()["type"].rsplit("/", 1)[-1]

    @property
    def retry_after(self):
        """The seconds after which it is worth another try; None: the answer does not say."""
        text = self.headers.get("retry-after")
        return None if text is None else int(text)

    def __str__(self):
        return f"{self.status} {self.body.decode(errors='replace')}"


def ask(method: str, path: str, key: str = None, body=None, tag: str = None) -> Answer:
    """One request over a connection of its own; `key` is its Idempotency-Key, `body` is sent as JSON, `tag` as If-Match."""
    kind = HTTPSConnection if _GATEWAY.scheme == "https" else HTTPConnection
    connection = kind(_GATEWAY.hostname, _GATEWAY.port, timeout=PATIENCE_SECONDS)
    headers = {"Connection": "close"} | ({} if key is None else {"Idempotency-Key": key}) | ({} if tag is None else {"If-Match": tag})
    text = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, _GATEWAY.path.rstrip("/") + path, text, headers)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def at_once(*calls) -> list:
    """The results of all calls, in their order; up to CLIENTS of them run at the same time."""
    with ThreadPoolExecutor(min(CLIENTS, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def eventually(condition, what: str, seconds: float):
    """Asks until `condition()` gives something true, which is returned; fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
    return value


def new_key() -> str:
    """An idempotency key that nobody has used: the suite may be run again on the same shop."""
    return str(uuid.uuid4())


class ShopCase(unittest.TestCase):
    """A test that speaks to the shop."""

    def ok(self, method: str, path: str, key: str = None) -> Answer:
        """A request that must succeed."""
        answer = ask(method, path, key)
        self.assertIn(answer.status, range(200, 300), f"{method} {path}: {answer}")
        return answer

    def found(self, path: str) -> dict:
        return self.ok("GET", path).json()

    def refused(self, method: str, path: str, problem: str, status: int = 409, key: str = None):
        """A request that must be refused. A shop that says why must say this."""
        answer = ask(method, path, key)
        self.assertIn(answer.status, range(400, 500), f"{method} {path}: {answer}")
        if answer.problem is not None:
            self.assertEqual((answer.status, answer.problem), (status, problem), f"{method} {path}: {answer}")

    # Items

    def item(self, price, stock: int = 0) -> str:
        item = self.ok("POST", f"/stock/item/create/{price}").json()["item_id"]
        if stock:
            self.ok("POST", f"/stock/add/{item}/{stock}")
        return item

    def stock(self, item: str) -> int:
        return self.found(f"/stock/find/{item}")["stock"]

    # Users

    def user(self, credit=0) -> str:
        user = self.ok("POST", "/payment/create_user").json()["user_id"]
        if credit:
            self.ok("POST", f"/payment/add_funds/{user}/{credit}")
        return user

    def credit(self, user: str):
        return self.found(f"/payment/find_user/{user}")["credit"]

    # Orders

    def order(self, user: str, *items: str) -> str:
        """With one unit of each item."""
        order = self.ok("POST", f"/orders/create/{user}").json()["order_id"]
        for item in items:
            self.add(order, item)
        return order

    def add(self, order: str, item: str, units: int = 1):
        self.ok("POST", f"/orders/addItem/{order}/{item}/{units}")

    def check_out(self, order: str):
        self.ok("POST", f"/orders/checkout/{order}")

    def is_paid(self, order: str) -> bool:
        return self.found(f"/orders/find/{order}")["paid"]

    def units(self, order: str) -> dict:
        """By item."""
        return dict(self.found(f"/orders/find/{order}")["items"])


class V1Case(ShopCase):
    """A test that speaks JSON to the shop."""

    def sent(self, method: str, path: str, body=None, status: int = 200, **headers) -> Answer:
        answer = ask(method, f"/v1{path}", body=body, **headers)
        self.assertEqual(answer.status, status, f"{method} {path} {body}: {answer}")
        return answer

    def wrong(self, method: str, path: str, body, problem: str, status: int = 400, pointer: str = None, **headers) -> Answer:
        answer = self.sent(method, path, body, status, **headers)
        self.assertEqual(answer.problem, problem, str(answer))
        self.assertEqual(answer.json().get("pointer"), pointer, str(answer))
        return answer

    def new_item(self, price="5.00", stock=0) -> str:
        return self.sent("POST", "/items", {"price": price, "stock": stock}, 201).json()["id"]

    def new_user(self, credit="0") -> str:
        return self.sent("POST", "/users", {"credit": credit}, 201).json()["id"]

    def lines(self, *items: str) -> list:
        return [{"item_id": item, "units": 1} for item in items]
