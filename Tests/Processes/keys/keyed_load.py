"""A load of writes under idempotency keys: clients that trade, buy, pay, and hope for what is not there yet."""

import asyncio

from Tests.Processes.keys.keyed_shop import KeyedShop, Refused

# A load ends early once its server is this guilty.
_ENOUGH_VIOLATIONS = 20


class KeyedLoad:
    """Clients of all kinds, until so many writes were sent."""

    def __init__(self, shop: KeyedShop, random):
        self.shop = shop
        self._random = random

    async def run(self, clients: int = 48):
        """Shared accounts first, then everybody at once."""
        try:
            await self._open()
        except Refused:
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
            except Refused:
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
