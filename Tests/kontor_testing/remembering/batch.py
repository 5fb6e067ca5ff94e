"""`batch_init` as its users see it: items, users and orders "0" ... "n-1", and checkouts of those orders."""

import asyncio
from collections import Counter

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.remembering.shop import hundredths

STOCK = 1_000
CREDIT = 1_000_000
PRICE = 2


class Batch:
    """So many items, users and orders; every item has STOCK units at PRICE, every user CREDIT."""

    def __init__(self, client: Client, items: int, users: int, orders: int):
        self._client = client
        self._items = items
        self._users = users
        self._orders = orders
        self._sold = Counter()
        self._charged = Counter()
        self._checked_out = set()

    async def initialize(self) -> list:
        """Sends the three requests, one after the other; returns their outcomes, at most one of them unanswered."""
        self._sold.clear()
        self._charged.clear()
        self._checked_out.clear()
        outcomes = []
        for path in (
            f"/stock/batch_init/{self._items}/{STOCK}/{PRICE}",
            f"/payment/batch_init/{self._users}/{CREDIT}",
            f"/orders/batch_init/{self._orders}/{self._items}/{self._users}/{PRICE}",
        ):
            outcomes.append(await self._client.post(path))
            if not isinstance(outcomes[-1], Answer):
                break
        return outcomes

    async def check_out_some(self, random, count: int) -> list:
        """Checks out random orders, and compares what these bought with what is left. Returns all violations."""
        chosen = [order for order in random.sample(range(self._orders), count) if order not in self._checked_out]
        self._checked_out.update(chosen)
        violations = []
        for order, answer in zip(chosen, await self._get(f"/orders/find/{order}" for order in chosen)):
            violations += self._order_violations(order, answer)
        if violations:
            return violations
        outcomes = await asyncio.gather(*(self._client.post(f"/orders/checkout/{order}") for order in chosen))
        violations += [
            f"the checkout of order {order} says {outcome}"
            for order, outcome in zip(chosen, outcomes) if outcome.status != 200]
        for order, answer in zip(chosen, await self._get(f"/orders/find/{order}" for order in chosen)):
            found = answer.json()
            if not found["paid"]:
                violations.append(f"order {order} was checked out, and is not paid")
            for item, units in found["items"]:
                self._sold[item] += units
            self._charged[found["user_id"]] += 2 * PRICE
        return violations + await self._account_violations()

    def _order_violations(self, order: int, answer: Answer) -> list:
        found = answer.json() if answer.status == 200 else {}
        if not found or found["paid"]:
            return [f"order {order} should exist and not be paid: {answer}"]
        units = sum(units for _, units in found["items"])
        is_known = all(int(item) < self._items for item, _ in found["items"]) and int(found["user_id"]) < self._users
        if units != 2 or not is_known or found["total_cost"] != 2 * PRICE:
            return [f"order {order} should have two of the items for one of the users: {answer}"]
        return []

    async def _account_violations(self) -> list:
        violations = []
        items, users = list(self._sold), list(self._charged)
        for item, answer in zip(items, await self._get(f"/stock/find/{item}" for item in items)):
            if answer.status != 200 or answer.json()["stock"] != STOCK - self._sold[item]:
                violations.append(f"item {item} sold {self._sold[item]} of {STOCK}: {answer}")
        for user, answer in zip(users, await self._get(f"/payment/find_user/{user}" for user in users)):
            expected = 100 * (CREDIT - self._charged[user])
            if answer.status != 200 or hundredths(answer.json()["credit"]) != expected:
                violations.append(f"user {user} was charged {self._charged[user]} of {CREDIT}: {answer}")
        return violations

    async def _get(self, paths) -> list:
        return await asyncio.gather(*(self._client.get(path) for path in paths))
