"""Reservations as tests of crashes use them: words, and a load of clients with a memory who reserve, extend, give back and buy."""

import asyncio
import inspect
import time
from collections import Counter

from Tests.kontor_testing.http_client import Client, Unanswered
from Tests.kontor_testing.polling import eventually

# What api.md promises of reservations that are over.
GIVEN_BACK_SECONDS = 5
# With fewer kills some things may not have happened.
_MANY_KILLS = 40


class Reservations:
    """What is asked of a shop, and what must be answered when nobody disturbs it."""

    async def good(self, client: Client, method: str, path: str, body=None, key: str = None) -> dict:
        """Of a read, or a write that may be repeated: asked for until there is an answer that says what is."""
        while True:
            answer = await client.request(method, f"/v1{path}", {"Idempotency-Key": key} if key else {}, body)
            if answer.status not in (None, 424, 429, 503, 504):
                break
            await asyncio.sleep(0.02)
        self.assertIn(answer.status, (200, 201), f"{method} {path}: {answer}")
        return answer.json()

    async def new_item(self, client: Client, stock: int) -> str:
        return (await self.good(client, "POST", "/items", {"price": 1, "stock": stock}))["id"]

    async def new_user(self, client: Client, credit: int) -> str:
        return (await self.good(client, "POST", "/users", {"credit": credit}))["id"]

    async def new_order(self, client: Client, user: str, *items: str) -> str:
        lines = [{"item_id": item, "units": 1} for item in items]
        return (await self.good(client, "POST", "/orders", {"user_id": user, "lines": lines}))["id"]

    async def reserve(self, client: Client, order: str, seconds: int) -> dict:
        return await self.good(client, "POST", f"/orders/{order}/reservation", {"seconds": seconds})

    async def listed(self, client: Client, path: str) -> list:
        """All entries, page by page."""
        entries, cursor = [], ""
        while cursor is not None:
            page = await self.good(client, "GET", f"{path}&limit=200" + (f"&cursor={cursor}" if cursor else ""))
            entries += page["data"]
            cursor = page["next_cursor"]
        return entries

    async def held(self, client: Client, item: str) -> int:
        return (await self.good(client, "GET", f"/items/{item}"))["held"]


class Remembered:
    """An order as its client knows it."""

    def __init__(self, order: str, scarce: str, is_poor: bool):
        self.id = order
        self.scarce = scarce
        # Whether its user can pay.
        self.is_poor = is_poor
        # One of these it is now. What is reserved briefly may be open again at any time.
        self.states = {"open"}
        # When it is, on the monotonic clock: until then it is left alone. 0: it was not reserved briefly, or nobody knows.
        self.ends = 0
        # Whether what was asked last may have been done or not. It is left alone until the judge has looked.
        self.is_unknown = False

    @property
    def may_go_on(self) -> bool:
        return not self.is_unknown and self.states != {"paid"} and time.monotonic() > self.ends


class ReservationsUnderKills(Reservations):
    """Orders that are reserved, extended, given back and bought while somebody kills, and a judge with their clients' memory."""

    _clients = 8
    _orders_of_each = 6
    _stock = {"scarce": 10, "plenty": 1_000_000}
    _credit = 1_000_000

    async def prepare(self, shop):
        self.random = self.seeded_random()
        self.client = shop.client()
        self.addCleanup(self.client.close)
        self.scarce = [await self.new_item(self.client, self._stock["scarce"]) for _ in range(3)]
        self.plenty = await self.new_item(self.client, self._stock["plenty"])
        self.rich, self.poor = await self.new_user(self.client, self._credit), await self.new_user(self.client, 0)
        self.orders = [[await self._new() for _ in range(self._orders_of_each)] for _ in range(self._clients)]
        self.paid, self.tally, self.answers = [], Counter(), 0

    async def _new(self) -> Remembered:
        is_poor, scarce = self.random.random() < 0.2, self.random.choice(self.scarce)
        order = await self.new_order(self.client, self.poor if is_poor else self.rich, scarce, self.plenty)
        return Remembered(order, scarce, is_poor)

    async def _plays(self, orders: list):
        while self._goes_on:
            able = [order for order in orders if order.may_go_on]
            if able:
                await self._step(self.random.choice(able))
            else:
                await asyncio.sleep(0.01)

    async def _step(self, order: Remembered):
        (wish, method, path, body, becomes), = self.random.choices((
            ("reserve", "POST", "reservation", {"seconds": 600}, {"reserved"}),
            ("reserve briefly", "POST", "reservation", {"seconds": 1}, {"reserved", "open"}),
            ("give back", "DELETE", "reservation", None, {"open"}),
            ("buy", "POST", "checkout", None, {"paid"})), weights=(3, 2, 2, 1))
        if wish == "reserve briefly" and order.states == {"reserved"}:
            # No reservation is shortened.
            becomes = {"reserved"}
        headers = {"Request-Timeout-Ms": 2_000}
        answer = await self.client.request(method, f"/v1/orders/{order.id}/{path}", headers, body)
        self.answers += 1
        if isinstance(answer, Unanswered) and not answer.was_sent:
            # Nobody listens.
            return await asyncio.sleep(0.01)
        said = answer.status if answer.status in (None, 200) else answer.problem
        self.tally[f"{wish}: {said}"] += 1
        if said == 200:
            order.states = becomes
            order.ends = time.monotonic() + 1 if len(becomes) > 1 else 0
        elif said in (None, "outcome-unknown"):
            order.states, order.ends = order.states | becomes, 0
            order.is_unknown = self.has_unknown = True
        else:
            refusals = {"contended", "unavailable", "overloaded", "not-serving"}
            if wish == "buy" and order.is_poor:
                refusals.add("out-of-credit")
            if wish != "give back" and "open" in order.states:
                refusals.add("out-of-stock")
            self.assertIn(said, refusals, f"to {wish} {order.id}, which is {order.states}: {answer}")

    async def load(self, fault, most_answers: int):
        """Load, `fault` (a function or coroutine function) before so many answers, and the end of what is on its way."""
        self._goes_on, self.has_unknown = True, False
        players = [asyncio.create_task(self._plays(orders)) for orders in self.orders]
        wanted = self.answers + self.random.randint(0, most_answers)
        try:
            await eventually(lambda: self.answers >= wanted or self.has_unknown, "the load's progress")
            ended = fault()
            if inspect.isawaitable(ended):
                await ended
        finally:
            self._goes_on = False
            await asyncio.gather(*players)

    async def judge(self):
        """Each order is what its client knows, and of each item so much is held as they say; what was sold is put into stock again."""
        orders = [order for orders in self.orders for order in orders]
        await asyncio.gather(*(self._look_at(order) for order in orders))
        for item in self.scarce:
            concerned = [order.states for order in orders if order.scarce == item]
            least, most = concerned.count({"reserved"}), sum("reserved" in states for states in concerned)
            stock = self._stock["scarce"] - concerned.count({"paid"})

            async def is_right():
                shown = await self.good(self.client, "GET", f"/items/{item}")
                return shown["stock"] == stock and least <= shown["held"] <= most

            await eventually(is_right, f"{stock} in stock and {least} to {most} held", GIVEN_BACK_SECONDS)
        for orders in self.orders:
            sold = [order for order in orders if order.states == {"paid"}]
            for order in sold:
                orders.remove(order)
                orders.append(await self._new())
                key = f"restock-{order.id}"
                await self.good(self.client, "POST", f"/items/{order.scarce}/adjustments", {"units": 1}, key)

    async def _look_at(self, order: Remembered):
        async def state():
            shown = await self.good(self.client, "GET", f"/orders/{order.id}")
            return None if shown["state"] == "checking_out" else shown["state"]

        found = await eventually(state, f"the end of what runs for {order.id}", GIVEN_BACK_SECONDS)
        self.assertIn(found, order.states)
        self.tally[f"found {found}"] += 1
        if order.ends:
            self.tally["found over"] += found == "open"
            late = time.monotonic() - order.ends - GIVEN_BACK_SECONDS
            self.assertFalse(found == "reserved" and late > 0, f"it is reserved {late} s too long")
        if found == "paid":
            self.paid.append(order)
        if found != "reserved":
            order.states = {found}
        elif order.is_unknown:
            # By what was asked last, or what was asked before it: for a long time or a short one.
            order.states = {"reserved", "open"}
        order.is_unknown = False

    async def end(self, shop, kills: int):
        """All is given back or over: nothing is held, and the sums are exact."""
        self.report(f"{kills} kills, {self.answers} answers: {dict(sorted(self.tally.items()))}")
        for order in [order for orders in self.orders for order in orders if "reserved" in order.states]:
            await self.good(self.client, "DELETE", f"/orders/{order.id}/reservation")

        async def is_free():
            return sum([await self.held(self.client, item) for item in (*self.scarce, self.plenty)]) == 0

        await eventually(is_free, "that nothing is held", GIVEN_BACK_SECONDS)
        for state in ("reserved", "checking_out"):
            self.assertEqual(await self.listed(self.client, f"/orders?state={state}"), [])
        listed = await self.listed(self.client, "/orders?state=paid")
        self.assertEqual({order["id"] for order in listed}, {order.id for order in self.paid})
        plenty = await self.good(self.client, "GET", f"/items/{self.plenty}")
        self.assertEqual(plenty["stock"], self._stock["plenty"] - len(self.paid))
        rich = await self.good(self.client, "GET", f"/users/{self.rich}")
        self.assertEqual((rich["credit"], rich["held"]), (f"{self._credit - 2 * len(self.paid)}.00", "0.00"))
        await self.assert_clean_audit(shop)
        for what in ("reserve: 200", "reserve briefly: 200", "give back: 200", "buy: 200", "buy: out-of-credit", "reserve: contended",
                     "reserve: None", "found over"):
            # Which Redis may answer with 504.
            found = self.tally[what] or self.tally[what.replace("None", "outcome-unknown")]
            self.assertTrue(found or kills < _MANY_KILLS, f"never {what}: this test did not test what it should")
