"""A shop in memory with idempotency keys that keeps its promises, or breaks one of them: to test who judges it."""

import json
import uuid
from collections import Counter

from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.loopback_server import LoopbackServer


class FakeShop(LoopbackServer):
    """Serves the writes of `keyed_load` and the reads of its judge. `fault` names the promise that it breaks, now and then."""

    def __init__(self, random, fault: str = None):
        super().__init__()
        self._random = random
        self._fault = fault
        self._kept = {}
        self._stock, self._prices, self._credit, self._payments, self._orders = {}, {}, {}, {}, {}

    def kill(self):
        """Hangs up on everybody; what it knows is kept."""
        super().kill()
        if self._fault == "loses its keys when it is killed":
            self._kept.clear()

    def _strikes(self, fault: str, chance: float = 0.1) -> bool:
        return self._fault == fault and self._random.random() < chance

    async def answer(self, method: str, path: str, headers: dict, body: bytes) -> Answer | None:
        try:
            status, content, replayed = self._answer(method, path, headers.get("idempotency-key", "").strip('"'))
        except KeyError:
            # A broken promise can take away what a later request asks for: hung up on, as by a server that fails.
            return None
        kind = "application/json" if status < 400 else "application/problem+json"
        extra = {"idempotent-replayed": "true"} if replayed else {}
        return Answer(status, {"content-type": kind, **extra}, json.dumps(content).encode())

    def _answer(self, method: str, path: str, key: str):
        segments = path.split("/")[1:]
        if method == "GET":
            return *self._read(segments), False
        scope = (segments[0], "" if "create" in path else segments[2] if len(segments) > 2 else "", key)
        if scope in self._kept and not self._strikes("forgets keys", 0.3):
            request, status, content = self._kept[scope]
            if request != path and not self._strikes("takes another request under a key", 0.5):
                return 422, {"type": "/problems/idempotency-key-reused"}, False
            if self._strikes("answers differently"):
                content = {**content, "again": True}
            if request == path and not self._strikes("is refused after it was done"):
                if self._strikes("applies a replay again"):
                    self._apply(segments, path)
                return status, content, not self._strikes("does not say that it replays")
            if request == path:
                return 409, {"type": "/problems/out-of-stock"}, False
        try:
            status, content = self._apply(segments, path)
        except KeyError:
            # A broken promise can take away what a later request asks for.
            return 404, {"type": "/problems/unknown"}, False
        if self._strikes("applies twice", 0.02):
            self._apply(segments, path)
        if status == 200 or self._strikes("keeps refusals", 1):
            self._kept[scope] = (path, status, content)
        return status, content, False

    def _apply(self, segments: list, path: str):
        new = str(uuid.UUID(int=self._random.getrandbits(128)))
        match segments:
            case ["stock", "item", "create", price]:
                self._stock[new], self._prices[new] = 0, _hundredths(price)
                return 200, {"item_id": new}
            case ["payment", "create_user"]:
                self._credit[new] = 0
                return 200, {"user_id": new}
            case ["orders", "create", user]:
                self._orders[new] = {"user": user, "lines": Counter(), "paid": False}
                return 200, {"order_id": new}
            case ["stock", "add" | "subtract" as action, item, units]:
                change = int(units) if action == "add" else -int(units)
                if self._stock[item] + change < 0:
                    return 409, {"type": "/problems/out-of-stock"}
                self._stock[item] += change
            case ["payment", "add_funds", user, amount]:
                self._credit[user] += _hundredths(amount)
            case ["payment", "pay", user, amount]:
                self._credit[user] -= _hundredths(amount)
            case ["payment", "pay", user, order, amount]:
                self._credit[user] -= _hundredths(amount)
                self._payments[user, order] = _hundredths(amount)
            case ["payment", "cancel", user, order]:
                self._credit[user] += self._payments.pop((user, order), 0)
            case ["orders", "addItem", order, item, *units]:
                self._orders[order]["lines"][item] += int(units[0]) if units else 1
            case ["orders", "removeItem", order, item]:
                self._orders[order]["lines"][item] -= 1
            case ["orders", "remove", order]:
                self._orders.pop(order, None)
            case ["orders", "checkout", order]:
                self._check_out(self._orders[order])
        return 200, {"done": True}

    def _check_out(self, order: dict):
        if order["paid"] and self._fault != "applies a replay again":
            return
        order["paid"] = True
        for item, units in order["lines"].items():
            self._stock[item] -= units
            self._credit[order["user"]] -= units * self._prices[item]

    def _read(self, segments: list):
        match segments:
            case ["stock", _, item]:
                return 200, {"stock": self._stock[item], "price": self._prices[item] / 100}
            case ["payment", "find_user", user]:
                return 200, {"user_id": user, "credit": self._credit[user] / 100}
            case ["payment", "status", user, order]:
                return 200, {"paid": (user, order) in self._payments}
            case ["orders", _, id] if id in self._orders:
                order = self._orders[id]
                lines = [[item, units] for item, units in order["lines"].items() if units]
                cost = sum(units * self._prices[item] for item, units in lines)
                return 200, {
                    "order_id": id, "paid": order["paid"], "items": lines, "user_id": order["user"], "total_cost": cost / 100}
        return 404, {"type": "/problems/unknown-order"}


def _hundredths(text: str) -> int:
    return round(float(text) * 100)
