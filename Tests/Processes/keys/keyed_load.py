"""Writes under idempotency keys, repeated until they are answered, and a judge of what comes back.

Every logical write ends with an answer that is known, so what must be in the shop at the end is known exactly: each effect
once, however often its request was sent, lost on the way, or met by a kill.
"""

import asyncio
import collections
import time
from dataclasses import dataclass

from http_client import Answer, Client
from shop import hundredths, money

# Nobody is without an answer for longer, kills and restarts included.
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.02
# So many requests give the server too little time now and then: what became of them is not known, and is told when asked again.
_HURRIES = 0.05
# A load ends early once its server is this guilty.
_ENOUGH_VIOLATIONS = 20
# Answers after which the same request is to be sent again.
_PASSING = (
    "idempotency-key-in-use", "idempotency-keys-full", "overloaded", "unavailable", "outcome-unknown", "contended",
    "order-checking-out")


@dataclass
class Write:
    """One logical write: what was meant, and the one answer that it has."""

    kind: str
    method: str
    path: str
    key: str
    answer: Answer = None
    # How often an answer said that it was carried out by this very request.
    firsts: int = 0

    def __str__(self):
        return f"{self.method} {self.path} under the key {self.key}"


class KeyedClient:
    """Sends writes until they have an answer, and notes each answer that is wrong."""

    def __init__(self, client: Client, random):
        self._client = client
        self._random = random
        self.tally = collections.Counter()
        self.violations = []

    async def send(self, write: Write, may_be_refused_as: str = None) -> Answer:
        """Returns a 2xx, or the refusal that is expected; another one is a violation."""
        was_done = write.answer is not None
        answer = await self._until_answered(write.method, write.path, write.key, was_done)
        is_replay = answer.headers.get("idempotent-replayed") == "true"
        if answer.status >= 300:
            if write.answer is not None:
                self._accuse(write, f"was done, and is then answered with {answer}")
            elif answer.problem != may_be_refused_as:
                self._accuse(write, f"is answered with {answer}")
            if is_replay:
                self._accuse(write, f"was refused, and the refusal was kept: {answer}")
            return answer
        self.tally["replayed" if is_replay else "done"] += 1
        write.firsts += not is_replay
        if write.answer is None:
            write.answer = answer
        elif (answer.status, answer.body) != (write.answer.status, write.answer.body):
            self._accuse(write, f"is answered with {write.answer}, then with {answer}")
        # Who checks out an order while it is checked out joins that checkout, and gets its answer as the first one does.
        if was_done and not is_replay:
            self._accuse(write, f"was done before this request, which is not told so: {answer.headers}")
        elif write.firsts > 1 and write.kind != "checkout":
            self._accuse(write, f"was carried out {write.firsts} times")
        return answer

    async def expect_refusal(self, write: Write, path: str):
        """Another request under the key of a write that was done."""
        answer = await self._until_answered(write.method, path, write.key, was_done=False)
        self.tally["other request under a key"] += 1
        if answer.status != 422 or answer.problem != "idempotency-key-reused":
            self._accuse(write, f"was done, and {path} under the same key is answered with {answer}")

    async def _until_answered(self, method: str, path: str, key: str, was_done: bool) -> Answer:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            headers = {"Idempotency-Key": key}
            if self._random.random() < _HURRIES:
                headers["Request-Timeout-Ms"] = self._random.randint(1, 20)
            outcome = await self._client.request(method, path, headers)
            if isinstance(outcome, Answer):
                self.tally[outcome.problem or outcome.status] += 1
                if outcome.problem not in _PASSING:
                    return outcome
                if outcome.problem == "idempotency-key-in-use":
                    self._judge_in_use(method, path, key, outcome, was_done)
            else:
                self.tally["unanswered"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"{method} {path} under the key {key} has no answer after {_PATIENCE_SECONDS} s: {outcome}")

    def _judge_in_use(self, method: str, path: str, key: str, answer: Answer, was_done: bool):
        is_well_said = answer.status == 409 and answer.headers.get("retry-after", "").isdigit()
        if was_done or not is_well_said:
            self.violations.append(f"{method} {path} under the key {key} (done: {was_done}) is answered with {answer}")

    def _accuse(self, write: Write, sentence: str):
        self.violations.append(f"{write} {sentence}")


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
            raise _Refused
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


class _Refused(Exception):
    """A write that must succeed did not: it was noted, and whoever needed it stops."""


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


class KeyedLoad:
    """Clients of all kinds, until so many writes were sent."""

    def __init__(self, shop: KeyedShop, random):
        self.shop = shop
        self._random = random

    async def run(self, clients: int = 48):
        """Shared accounts first, then everybody at once."""
        try:
            await self._open()
        except _Refused:
            return
        kinds = (self._trade, self._buy, self._buy, self._pay, self._hope)
        await asyncio.gather(*(self._until_done(kinds[number % len(kinds)]) for number in range(clients)))

    async def _open(self):
        self._items = [await self.shop.create_item(self._random.randrange(0, 2_000), 500_000_000) for _ in range(8)]
        self._users = [await self.shop.create_user(5_000_000_000) for _ in range(8)]

    async def _until_done(self, act):
        while self.shop.left > 0 and len(self.shop.client.violations) < _ENOUGH_VIOLATIONS:
            try:
                await act()
            except _Refused:
                continue

    async def _trade(self):
        """Changes accounts that others change too."""
        shop, random = self.shop, self._random
        await shop.change_stock(random.choice(self._items), random.choice((1, -1)) * random.randint(1, 9))
        await random.choice((shop.add_funds, shop.pay))(random.choice(self._users), random.randint(1, 999))

    async def _buy(self):
        shop, random = self.shop, self._random
        user = await shop.create_user(10_000_000) if random.random() < 0.3 else random.choice(self._users)
        order = await shop.create_order(user)
        items = random.sample(self._items, random.randint(1, 3))
        await asyncio.gather(*(shop.add_item(order, item, random.randint(1, 3)) for item in items), return_exceptions=True)
        if random.random() < 0.4:
            await shop.add_item(order, items[0], 1)
            await shop.remove_item(order, items[0])
        await (shop.remove(order) if random.random() < 0.15 else shop.checkout(order))

    async def _pay(self):
        """Pays for an order directly, takes it back, and sometimes pays again."""
        shop, random = self.shop, self._random
        user = random.choice(self._users)
        order = await shop.create_order(user)
        for _ in range(random.randint(1, 2)):
            await shop.pay_for(user, order, random.randint(1, 999))
            await shop.cancel(user, order)
        if random.random() < 0.5:
            await shop.pay_for(user, order, random.randint(1, 999))

    async def _hope(self):
        """Is refused, and tries again under the same key once there is enough: a refusal leaves no key behind."""
        shop, units = self.shop, self._random.randint(1, 99)
        item = await shop.create_item(self._random.randrange(0, 2_000))
        write = shop.new_write("subtract", "POST", f"/stock/subtract/{item}/{units}")
        if (await shop.client.send(write, may_be_refused_as="out-of-stock")).status < 300:
            shop.client.violations.append(f"{write} was done, though there was nothing")
        await shop.change_stock(item, units)
        if (await shop.client.send(write)).status < 300:
            shop.stock[item] -= units
        shop.for_later.append(write)
