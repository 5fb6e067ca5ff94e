"""What all tests of this suite share: how to ask the shop, and words for what is asked.

The shop is found by SHOP_URL, or by GATEWAY_URL in the `urls.json` beside this file.
"""

import json
import os
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
