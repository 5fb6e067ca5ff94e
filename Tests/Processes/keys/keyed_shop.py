"""A shop that is written to under idempotency keys alone, and the judge of what is in it at the end.

Every logical write ends with an answer that is known, so what must be there is known exactly: each effect once, however often
its request was sent, lost on the way, or met by a kill.
"""

import asyncio
import collections

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.remembering.shop import hundredths, money
from Tests.Processes.keys.keyed_client import KeyedClient, Write


class Refused(Exception):
    """A write that must succeed did not: it was noted, and whoever needed it stops."""


class KeyedShop:
    """Operations of the shop, each under a key of its own; some are sent twice. It knows what must be there at the end."""

    def __init__(self, client: KeyedClient, random, writes: int):
        self.client = client
        self._random = random
        self.left = writes
        self.done = 0
        self.stock = {}
        self.prices = {}
        self.credit = {}
        self.orders = {}
        self.removed = set()
        self.payments = {}
        # Done and to be repeated after the next kill; they keep their effect and their answer.
        self.for_later = []
        self._keys = 0

    # Sending

    async def write(self, kind: str, method: str, path: str, other: str = None) -> dict:
        """20 % are sent again: at the same time, soon after, or after a kill. `other` is another request of its scope."""
        write = self.new_write(kind, method, path)
        style = self._random.random()
        if style < 0.07:
            self.client.tally["duplicates at once"] += 1
            answer, _ = await asyncio.gather(self.client.send(write), self.client.send(write))
        else:
            answer = await self.client.send(write)
        if 0.07 <= style < 0.14:
            self.client.tally["duplicates soon after"] += 1
            await self.client.send(write)
        elif 0.14 <= style < 0.20:
            self.for_later.append(write)
        elif other and style < 0.25:
            await self.client.expect_refusal(write, other)
        if answer.status >= 300:
            raise Refused
        return answer.json() if answer.body.startswith(b"{") else {}

    def new_write(self, kind: str, method: str, path: str) -> Write:
        self._keys += 1
        self.left -= 1
        self.done += 1
        key = f"{kind}-{self._keys}-{self._random.getrandbits(64):x}"
        return Write(kind, method, path, f'"{key}"' if self._random.random() < 0.3 else key)

    async def repeat_after_kill(self):
        """Sends again what was put by for it."""
        writes, self.for_later = self.for_later, []
        self.client.tally["duplicates after a kill"] += len(writes)
        await asyncio.gather(*(self.client.send(write) for write in writes))

    # Items and users

    async def create_item(self, price: int, stock: int = 0) -> str:
        item = (await self.write(
            "item", "POST", f"/stock/item/create/{money(price)}", f"/stock/item/create/{money(price + 1)}")).get("item_id")
        if item in self.stock:
            self.client.violations.append(f"two items were created as {item}")
        self.stock[item], self.prices[item] = 0, price
        if stock:
            await self.change_stock(item, stock)
        return item

    async def create_user(self, credit: int = 0) -> str:
        user = (await self.write("user", "POST", "/payment/create_user")).get("user_id")
        if user in self.credit:
            self.client.violations.append(f"two users were created as {user}")
        self.credit[user] = 0
        if credit:
            await self.add_funds(user, credit)
        return user

    async def change_stock(self, item: str, units: int):
        word, opposite = ("add", "subtract") if units > 0 else ("subtract", "add")
        other = self._random.choice((f"/stock/{word}/{item}/{abs(units) + 1}", f"/stock/{opposite}/{item}/{abs(units)}"))
        await self.write(word, "POST", f"/stock/{word}/{item}/{abs(units)}", other)
        self.stock[item] += units

    async def add_funds(self, user: str, amount: int):
        text = money(amount)
        await self.write("add_funds", "POST", f"/payment/add_funds/{user}/{text}", f"/payment/pay/{user}/{text}")
        self.credit[user] += amount

    async def pay(self, user: str, amount: int):
        await self.write("pay", "POST", f"/payment/pay/{user}/{money(amount)}", f"/payment/pay/{user}/{money(amount + 1)}")
        self.credit[user] -= amount

    async def pay_for(self, user: str, order: str, amount: int):
        await self.write("pay-for", "POST", f"/payment/pay/{user}/{order}/{money(amount)}")
        self.credit[user] -= amount
        self.payments[user, order] = amount

    async def cancel(self, user: str, order: str):
        await self.write("cancel", "POST", f"/payment/cancel/{user}/{order}")
        self.credit[user] += self.payments[user, order]
        self.payments[user, order] = 0

    # Orders

    async def create_order(self, user: str) -> str:
        order = (await self.write("order", "POST", f"/orders/create/{user}")).get("order_id")
        if order in self.orders:
            self.client.violations.append(f"two orders were created as {order}")
        self.orders[order] = {"user": user, "lines": collections.Counter(), "paid": False}
        return order

    async def add_item(self, order: str, item: str, units: int):
        path = f"/orders/addItem/{order}/{item}"
        await self.write("addItem", "POST", path if units == 1 else f"{path}/{units}", f"{path}/{units + 1}")
        self.orders[order]["lines"][item] += units

    async def remove_item(self, order: str, item: str):
        await self.write("removeItem", "DELETE", f"/orders/removeItem/{order}/{item}")
        self.orders[order]["lines"][item] -= 1

    async def remove(self, order: str):
        await self.write("remove", "DELETE", f"/orders/remove/{order}")
        self.removed.add(order)

    async def checkout(self, order: str):
        await self.write("checkout", "POST", f"/orders/checkout/{order}")
        memory = self.orders[order]
        memory["paid"] = True
        for item, units in memory["lines"].items():
            self.stock[item] -= units
            self.credit[memory["user"]] -= units * self.prices[item]

    # Judging

    async def judge(self, client: Client) -> list:
        """All violations, as sentences: of single answers, and of what is there in the end."""
        expected = {f"/stock/find/{item}": {"stock": units, "price": self.prices[item]} for item, units in self.stock.items()}
        expected |= {f"/payment/find_user/{user}": {"user_id": user, "credit": credit} for user, credit in self.credit.items()}
        for (user, order), amount in self.payments.items():
            expected[f"/payment/status/{user}/{order}"] = {"paid": amount > 0 or self.orders[order]["paid"]}
        for id, order in self.orders.items():
            lines = {item: units for item, units in order["lines"].items() if units}
            cost = sum(units * self.prices[item] for item, units in lines.items())
            expected[f"/orders/find/{id}"] = {
                "order_id": id, "paid": order["paid"], "items": lines, "user_id": order["user"], "total_cost": cost,
            } if id not in self.removed else None
        answers = await asyncio.gather(*(client.get(path) for path in expected))
        found = zip(expected.items(), answers)
        return self.client.violations + [
            f"{path} should say {content}, and says {answer}" for (path, content),
            answer in found if _content(answer) != content]


def _content(answer: Answer):
    """With money in hundredths, and lines as a dictionary; None for an order that is not there."""
    if answer.status == 404:
        return None
    content = answer.json()
    for name in ("price", "credit", "total_cost"):
        if name in content:
            content[name] = hundredths(content[name])
    if "items" in content:
        content["items"] = dict(content["items"])
    return content
