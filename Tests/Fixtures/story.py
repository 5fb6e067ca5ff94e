"""What happens in the shop of a fixture: every state that an account and an order can be in, and what its clients
were told.

The same story is told to an embedded shop and to three services. What must be read from the fixture is collected on the
way.
"""

from Tests.kontor_testing.http_client import Client

# Of what the interrupted checkouts buy, each order one unit.
INTERRUPTED_STOCK = 1_000
INTERRUPTED_CREDIT = 100_000
INTERRUPTED_PRICE = 2
_INTERRUPTED_ORDERS = 40
_INTERRUPTED_ITEMS = 12


class Story:
    """Tells the story in its chapters; `facts` is what the fixture's test compares."""

    def __init__(self):
        self.client = None
        # What each path says, the writes under keys with their answers, orders; `prepare` adds what was interrupted.
        self.facts = {"reads": {}, "keyed": [], "open": [], "paid": []}
        self._read = []

    async def _ask(self, method: str, path: str, status: int = 200, headers: dict = None) -> dict:
        answer = await self.client.request(method, path, headers)
        assert answer.status == status, f"{method} {path}: {answer}"
        return answer.json() if answer.body.startswith(b"{") else {}

    async def _post(self, path: str, status: int = 200) -> dict:
        return await self._ask("POST", path, status)

    async def _keyed(self, method: str, path: str) -> dict:
        key = f"key-{len(self.facts['keyed'])}"
        answer = await self.client.request(method, path, {"Idempotency-Key": key})
        assert answer.status == 200, f"{method} {path}: {answer}"
        self.facts["keyed"].append({"method": method, "path": path, "key": key, "body": answer.body.decode()})
        return answer.json() if answer.body.startswith(b"{") else {}

    async def _item(self, price, stock: int) -> str:
        item = (await self._post(f"/stock/item/create/{price}"))["item_id"]
        await self._post(f"/stock/add/{item}/{stock}")
        self._read.append(f"/stock/find/{item}")
        return item

    async def _user(self, credit) -> str:
        user = (await self._post("/payment/create_user"))["user_id"]
        await self._post(f"/payment/add_funds/{user}/{credit}")
        self._read.append(f"/payment/find_user/{user}")
        return user

    async def _order(self, user: str, *lines) -> str:
        """Each line is an item and its units."""
        order = (await self._post(f"/orders/create/{user}"))["order_id"]
        for item, units in lines:
            await self._post(f"/orders/addItem/{order}/{item}/{units}")
        self._read += [f"/orders/find/{order}", f"/orders/explain/{order}"]
        return order

    # The chapters

    async def writes_under_keys(self, client: Client):
        """Every write under a key, told to a shop whose clock is far ahead."""
        self.client = client
        item = (await self._keyed("POST", "/stock/item/create/3.50"))["item_id"]
        await self._keyed("POST", f"/stock/add/{item}/10")
        await self._keyed("POST", f"/stock/subtract/{item}/1")
        user = (await self._keyed("POST", "/payment/create_user"))["user_id"]
        await self._keyed("POST", f"/payment/add_funds/{user}/100")
        await self._keyed("POST", f"/payment/pay/{user}/1.25")
        order = (await self._keyed("POST", f"/orders/create/{user}"))["order_id"]
        await self._keyed("POST", f"/orders/addItem/{order}/{item}/3")
        await self._keyed("DELETE", f"/orders/removeItem/{order}/{item}")
        await self._keyed("POST", f"/orders/checkout/{order}")
        removed = (await self._keyed("POST", f"/orders/create/{user}"))["order_id"]
        await self._keyed("DELETE", f"/orders/remove/{removed}")
        direct = (await self._keyed("POST", f"/orders/create/{user}"))["order_id"]
        await self._keyed("POST", f"/payment/pay/{user}/{direct}/2")
        await self._keyed("POST", f"/payment/cancel/{user}/{direct}")
        await self._keyed("POST", "/stock/batch_init/3/100/1")
        self._read += [f"/stock/find/{item}", f"/payment/find_user/{user}", f"/orders/find/{order}", f"/payment/status/{user}/{direct}"]
        self._read += [f"/stock/find/{number}" for number in range(3)]
        self.facts["paid"].append(order)

    async def states(self, client: Client):
        """Orders that are open, empty, paid, removed, refused, paid after a refusal; direct payments; a batch over paid
        orders."""
        self.client = client
        plenty, scarce = await self._item("7.25", 100), await self._item(1, 2)
        user, poor = await self._user(1_000), await self._user("0.50")
        self.facts["open"].append({"order": await self._order(user, (plenty, 2), (scarce, 1)), "user": user, "cost": "15.50",
                                   "units": {plenty: 2, scarce: 1}})
        await self._order(user)
        removed = await self._order(user, (plenty, 1))
        await self._ask("DELETE", f"/orders/remove/{removed}")
        self._read = [path for path in self._read if removed not in path]
        self.facts["removed"] = removed
        paid = await self._order(user, (plenty, 3))
        await self._post(f"/orders/checkout/{paid}")
        again = await self._order(user, (scarce, 3))
        await self._post(f"/orders/checkout/{again}", 409)
        await self._ask("DELETE", f"/orders/removeItem/{again}/{scarce}")
        await self._ask("DELETE", f"/orders/removeItem/{again}/{scarce}")
        await self._post(f"/orders/checkout/{again}")
        await self._post(f"/stock/add/{scarce}/1")
        refused = await self._order(user, (scarce, 50))
        await self._post(f"/orders/checkout/{refused}", 409)
        await self._post(f"/orders/checkout/{await self._order(poor, (plenty, 1))}", 409)
        await self._post(f"/payment/pay/{user}/20")
        direct, cancelled = await self._order(user, (plenty, 1)), await self._order(user, (plenty, 1))
        for order in (direct, cancelled):
            await self._post(f"/payment/pay/{user}/{order}/9.99")
            self._read.append(f"/payment/status/{user}/{order}")
        await self._post(f"/payment/cancel/{user}/{cancelled}")
        self.facts["paid"] += [paid, again]
        await self._batch()

    async def _batch(self):
        """Order 0 is paid and then replaced, which leaves a receipt; order 1 is paid in its new life."""
        await self._post("/payment/batch_init/3/100")
        for order in ("0", "1"):
            await self._post("/orders/batch_init/3/3/3/1")
            await self._post(f"/orders/checkout/{order}")
        self._read += [f"/payment/find_user/{number}" for number in range(3)] + [f"/orders/find/{number}" for number in range(3)]
        self.facts["paid"].append("1")

    async def prepare(self, client: Client) -> list:
        """Orders whose checkouts are to be interrupted: what they buy and who pays is nobody else's."""
        self.client = client
        kept, self._read = self._read, []
        items = [await self._item(INTERRUPTED_PRICE, INTERRUPTED_STOCK) for _ in range(_INTERRUPTED_ITEMS)]
        users = [await self._user(INTERRUPTED_CREDIT) for _ in range(4)]
        orders = {}
        for number in range(_INTERRUPTED_ORDERS):
            lines = [items[(number + step) % len(items)] for step in (0, 5, 7)]
            user = users[number % len(users)]
            orders[await self._order(user, *((item, 1) for item in lines))] = {"user": user, "items": lines}
        self._read = kept
        self.facts["interrupted"] = {"orders": orders, "items": items, "users": users}
        return list(orders)

    async def read(self, client: Client):
        """Notes what there is to be read, as bytes."""
        for path in self._read:
            answer = await client.get(path)
            assert answer.status == 200, f"{path}: {answer}"
            self.facts["reads"][path] = answer.body.decode()
