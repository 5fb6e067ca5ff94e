"""A mixed load: many kinds of clients at once, which meet at scarce stock, scarce credit and shared orders.

Each client goes on until an outcome is unknown (mostly because the server is gone) or the load is stopped. The amounts
of clients that share an account are distinct powers of two, and each has one change on its way, so that the judge can
tell which of them happened.
"""

import asyncio

from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.remembering.shop import Shop

_ABUNDANT = 1_000_000
# Most checkouts that are sent at once just before a crash, so that some of them are half done.
_BURST = 100


class Market:
    """The accounts of the load, and its clients."""

    def __init__(self, shop: Shop, random):
        self.shop = shop
        self._random = random
        self._is_stopped = False
        self._refused_orders = []
        self._prepared_orders = []
        self._tasks = []

    async def open(self):
        """Creates the accounts."""
        shop, random = self.shop, self._random
        self._items = [await shop.create_item(random.randrange(1, 2_000), _ABUNDANT) for _ in range(20)]
        self._hot_item = await shop.create_item(100, _ABUNDANT)
        self._scarce_items = [await shop.create_item(random.randrange(0, 500), 5) for _ in range(5)]
        self._rich_users = [await shop.create_user(100 * _ABUNDANT) for _ in range(20)]
        self._poor_users = [await shop.create_user(5_000) for _ in range(3)]
        self._payers = [await shop.create_user(100 * _ABUNDANT) for _ in range(2)]
        self._shared_order = await shop.create_order(self._rich_users[0])

    # The load

    def start(self):
        """Starts all clients; `wait` returns when they have ended."""
        self._is_stopped = False
        self.shop.has_unknown = False
        clients = [self._buys(self._items, 3) for _ in range(4)]
        clients += [self._buys([self._hot_item], 1) for _ in range(4)]
        clients += [self._fights_for_stock() for _ in range(8)]
        clients += [self._fights_for_credit(user) for user in self._poor_users]
        clients += [self._restocks(1 << power) for power in range(4)]
        clients += [self._edits(item) for item in self._items[:4]]
        clients += [self._pays_directly(user) for user in self._payers]
        clients += [self._prepares() for _ in range(4)]
        clients += [self._creates()]
        self._tasks = [asyncio.create_task(client) for client in clients]

    async def run_to_any_moment(self, most_answers: int):
        """Starts the load and returns after some answers, in the midst of a burst of checkouts. The load goes on."""
        self.start()
        wanted = self.shop.history.answers + self._random.randint(1, most_answers)
        await eventually(lambda: self.shop.history.answers >= wanted or self.shop.has_unknown, "the load's progress")
        orders, self._prepared_orders = self._prepared_orders, []
        self._tasks += [asyncio.create_task(self.shop.checkout(order)) for order in orders]
        await asyncio.sleep(self._random.uniform(0, 0.03))

    def stop(self):
        """Lets each client finish what it is doing."""
        self._is_stopped = True

    async def wait(self):
        await asyncio.gather(*self._tasks)

    @property
    def _goes_on(self) -> bool:
        return not self._is_stopped and not self.shop.has_unknown

    async def _check_out(self, order):
        """Mostly once, sometimes twice at a time, sometimes again afterwards."""
        times = self._random.choice((1, 1, 1, 2))
        outcomes = await asyncio.gather(*(self.shop.checkout(order) for _ in range(times)))
        if self._random.random() < 0.1 and self._goes_on:
            outcomes.append(await self.shop.checkout(order))
        return outcomes[-1]

    # Its clients

    async def _buys(self, items, most_lines):
        while self._goes_on:
            chosen = self._random.sample(items, self._random.randint(1, most_lines))
            units = {item: self._random.randint(1, 3) for item in chosen}
            order = await self.shop.order_of(self._random.choice(self._rich_users), units)
            if order:
                await self._check_out(order)

    async def _fights_for_stock(self):
        while self._goes_on:
            if self._refused_orders and self._random.random() < 0.4:
                order = self._refused_orders.pop(self._random.randrange(len(self._refused_orders)))
            else:
                chosen = self._random.sample(self._scarce_items, self._random.randint(1, 3))
                units = {item: self._random.randint(1, 3) for item in chosen}
                order = await self.shop.order_of(self._random.choice(self._rich_users), units)
            if order:
                outcome = await self._check_out(order)
                if isinstance(outcome, Answer) and outcome.status == 409:
                    self._refused_orders.append(order)

    async def _fights_for_credit(self, user):
        while self._goes_on:
            orders = [
                await self.shop.order_of(user, {self._random.choice(self._items): 1})
                for _ in range(self._random.randint(1, 4))]
            await asyncio.gather(*(self._check_out(order) for order in orders if order))

    async def _prepares(self):
        """Makes orders that are checked out later, all at once: of plenty, of one item, of what is scarce."""
        while self._goes_on:
            if len(self._prepared_orders) >= _BURST:
                await asyncio.sleep(0.01)
                continue
            items = self._random.choice((self._items, [self._hot_item], self._scarce_items))
            order = await self.shop.order_of(self._random.choice(self._rich_users), {self._random.choice(items): 1})
            if order:
                self._prepared_orders.append(order)

    async def _restocks(self, power):
        """Adds a little of what is scarce, and sometimes takes some away."""
        while self._goes_on:
            if self._random.random() < 0.4:
                await self.shop.add_funds(self._random.choice(self._poor_users), 100 * power)
            else:
                item = self._random.choice(self._scarce_items + [self._hot_item])
                change = self.shop.add_stock if self._random.random() < 0.8 else self.shop.subtract_stock
                await change(item, power)

    async def _edits(self, item):
        """Adds and removes one line of an order that others edit too."""
        order = self.shop.history.orders[self._shared_order]
        while self._goes_on:
            if order.units.get(item, 0) > 0 and self._random.random() < 0.6:
                await self.shop.remove_item(order.id, item)
            else:
                await self.shop.add_item(order.id, item, self._random.randint(1, 2))

    async def _pays_directly(self, user):
        while self._goes_on:
            order = await self.shop.create_order(user)
            if order is None:
                continue
            paid = await self.shop.pay(user, order, self._random.randint(1, 1_000))
            if paid.status == 200 and self._random.random() < 0.5:
                await self.shop.cancel(user, order)

    async def _creates(self):
        while self._goes_on:
            await self.shop.create_item(self._random.randrange(0, 10_000), 1)
            await self.shop.create_user(100)
