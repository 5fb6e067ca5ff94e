"""What the shop has before the checkouts: items with little in stock, users with credit for one unit, and orders of one unit."""

import asyncio
import random
from dataclasses import dataclass

from shop_client import ShopClient

PRICE = 1
CREDIT = 1


@dataclass(frozen=True)
class Scale:
    """How much of everything there is."""

    items: int = 100
    stock: int = 1
    users: int = 1_000
    checkouts: int = 1_000


@dataclass(frozen=True)
class Order:
    id: str
    user: str
    item: str


@dataclass(frozen=True)
class Population:
    scale: Scale
    items: list
    users: list
    orders: list


async def populate(shop: ShopClient, scale: Scale) -> Population:
    """Each order is of one unit of any item, for any user."""
    items = await _made(shop, [f"/stock/item/create/{PRICE}"] * scale.items, "item_id")
    await _all(shop, [f"/stock/add/{item}/{scale.stock}" for item in items])
    users = await _made(shop, ["/payment/create_user"] * scale.users, "user_id")
    await _all(shop, [f"/payment/add_funds/{user}/{CREDIT}" for user in users])
    wanted = [(random.choice(users), random.choice(items)) for _ in range(scale.checkouts)]
    ids = await _made(shop, [f"/orders/create/{user}" for user, _ in wanted], "order_id")
    orders = [Order(id, user, item) for id, (user, item) in zip(ids, wanted)]
    await _all(shop, [f"/orders/addItem/{order.id}/{order.item}/1" for order in orders])
    return Population(scale, items, users, orders)


async def _all(shop: ShopClient, paths: list) -> list:
    return await asyncio.gather(*(shop.make(path) for path in paths))


async def _made(shop: ShopClient, paths: list, name: str) -> list:
    return [str(answer[name]) for answer in await _all(shop, paths)]
