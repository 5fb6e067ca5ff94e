"""A gateway before a real shop that lies about checkouts, or lets units and money come and go: to test who judges shops."""

import json
import math

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.loopback_server import LoopbackServer

_PAID = Answer(200, {"content-type": "application/json"}, b'{"status":"paid"}')
_REFUSED = Answer(
    409, {"content-type": "application/problem+json"}, json.dumps({"type": "/problems/out-of-stock"}).encode())
# Headers that concern one connection only.
_OF_ONE_HOP = {"connection", "keep-alive"}

# What a client says of its request, besides its body.
_PASSED = {"idempotency-key", "if-match", "content-type"}

# Each lie, and what the consistency test has to find inconsistent.
LIES = {
    "a refusal is told as a sale": "orders",
    "a sale is told as a refusal": "orders",
    "a checkout is answered and not done": "orders",
    "all are refused": "stock",
    "a unit gets lost": "stock",
    "a unit appears": "stock",
    "credit gets lost": "payment",
    "credit appears": "payment",
}
# What the correctness suite and the stress test have to find besides; the consistency test reserves nothing. The method of each.
LIES_OF_RESERVATIONS = {"a reservation is answered and not made": "POST", "a reservation is answered and not given back": "DELETE"}


class LyingGateway(LoopbackServer):
    """Passes all on to the shop at `port`, but for the lie, which it tells `times` times; without one it is honest."""

    def __init__(self, port: int, lie: str = None, times: float = math.inf):
        super().__init__()
        self.lies_told = 0
        self._shop = Client(port, connections=1_100)
        self._lie = lie
        self._times = times

    def kill(self):
        super().kill()
        self._shop.close()

    async def answer(self, method: str, path: str, headers: dict, body: bytes) -> Answer:
        is_checkout, lie = path.startswith("/orders/checkout/"), self._lie
        if is_checkout and lie in ("a checkout is answered and not done", "all are refused") and self._tells_one():
            return _REFUSED if lie == "all are refused" else _PAID
        if path.endswith("/reservation") and method == LIES_OF_RESERVATIONS.get(lie) and self._tells_one():
            method, path, body = "GET", path.removesuffix("/reservation"), b""
        passed = {name: value for name, value in headers.items() if name in _PASSED}
        answer = await self._shop.request(method, path, passed, body or None)
        answer = answer._replace(headers={name: value for name, value in answer.headers.items() if name not in _OF_ONE_HOP})
        if is_checkout:
            if lie == "a refusal is told as a sale" and answer.status == 409 and self._tells_one():
                return _PAID
            if lie == "a sale is told as a refusal" and answer.status == 200 and self._tells_one():
                return _REFUSED
        elif answer.status == 200:
            await self._change(path)
        return answer

    async def _change(self, path: str):
        """One unit of an item that is ordered, or one credit of who orders, more or less, without anybody's being told."""
        match self._lie, path.split("/")[2:]:
            case "a unit gets lost", ["addItem", _, item, *_]:
                change = f"/stock/subtract/{item}/1"
            case "a unit appears", ["addItem", _, item, *_]:
                change = f"/stock/add/{item}/1"
            case "credit gets lost", ["create", user]:
                change = f"/payment/pay/{user}/1"
            case "credit appears", ["create", user]:
                change = f"/payment/add_funds/{user}/1"
            case _:
                return
        if self._tells_one():
            answer = await self._shop.post(change)
            # What was not there could not get lost.
            self.lies_told -= answer.status != 200

    def _tells_one(self) -> bool:
        if self.lies_told >= self._times:
            return False
        self.lies_told += 1
        return True
