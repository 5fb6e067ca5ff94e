"""The stress test: users who each play one of six scenarios after the other, step by step, with a pause after each step.

    locust                                                              then open http://localhost:8089
    locust --headless --users 100 --spawn-rate 10 --run-time 1m

The shop is --host, or SHOP_URL, or GATEWAY_URL in the `urls.json` beside this file. The pauses are 1 to 15 s;
STRESS_WAIT_SECONDS="0.01 0.05" makes others.
"""

import os

from gateway import gateway_url
from locust import HttpUser, between
from shop_steps import (
    Scenario, add_first_item, add_second_item, begin_another, check_out, check_out_in_vain, create_buyer, create_item,
    create_order, give_credit, put_into_stock, remove_first_item, sell_out_second_item,
)


class StocksAnItem(Scenario):
    """1. Somebody of the shop creates an item and puts it into stock."""

    tasks = [create_item, put_into_stock, begin_another]


class BuysOneItem(Scenario):
    """2. A user buys an item."""

    tasks = [
        create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item, check_out, begin_another]


class BuysTwoItems(Scenario):
    """3. A user buys two items in one order."""

    tasks = [
        create_item, put_into_stock, create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item,
        add_second_item, check_out, begin_another]


class ChangesTheirMind(Scenario):
    """4. A user takes an item out of the order, puts it back, and buys it."""

    tasks = [
        create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item, remove_first_item,
        add_first_item, check_out, begin_another]


class WantsWhatIsSoldOut(Scenario):
    """5. The second item is gone before the checkout, which must be refused."""

    tasks = [
        create_item, put_into_stock, create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item,
        add_second_item, sell_out_second_item, check_out_in_vain, begin_another]


class HasNoCredit(Scenario):
    """6. A user without credit tries to buy, which must be refused."""

    tasks = [create_item, put_into_stock, create_buyer, create_order, add_first_item, check_out_in_vain, begin_another]


class ShopUser(HttpUser):
    host = gateway_url()
    wait_time = between(*map(float, os.environ.get("STRESS_WAIT_SECONDS", "1 15").split()))
    # A scenario is drawn in proportion to its weight.
    tasks = {
        StocksAnItem: 5,
        BuysOneItem: 30,
        BuysTwoItems: 25,
        ChangesTheirMind: 20,
        WantsWhatIsSoldOut: 10,
        HasNoCredit: 10,
    }
