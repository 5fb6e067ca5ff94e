"""The stress test: users who each play one of nine scenarios after the other, step by step, with a pause after each step.

    locust                                                              then open http://localhost:8089
    locust --headless --users 100 --spawn-rate 10 --run-time 1m

The shop is --host, or SHOP_URL, or GATEWAY_URL in the `urls.json` beside this file. The pauses are 1 to 15 s;
STRESS_WAIT_SECONDS="0.01 0.05" makes others. STRESS_WITHOUT_V1=1 leaves out what not every shop has: 7 to 9.
"""

import os

from gateway import gateway_url
from locust import HttpUser, between
from shop_steps import (
    Scenario, add_first_item, add_second_item, add_to_reserved_order_in_vain, begin_another, browse_items, browse_more_items,
    browse_paid_orders, browse_users, check_out, check_out_in_vain, check_out_reserved_order, create_buyer, create_item,
    create_order, give_credit, give_reservation_back, look_at_listed_order, look_at_refunded_part, look_at_reserved_item,
    put_into_stock, refund_first_item, refund_in_vain, refund_the_rest, remove_first_item, reserve, sell_out_second_item,
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


class ReservesAndBuys(Scenario):
    """7. A user reserves an item, lets go of it, reserves it again, which locks the order, and buys it."""

    tasks = [
        create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item, reserve, give_reservation_back,
        reserve, look_at_reserved_item, add_to_reserved_order_in_vain, check_out_reserved_order, begin_another]


class IsRefundedInParts(Scenario):
    """8. A user buys two items and gets the money for the first one back, then for the second, and no more than that."""

    tasks = [
        create_item, put_into_stock, create_item, put_into_stock, create_buyer, give_credit, create_order, add_first_item,
        add_second_item, check_out, refund_first_item, look_at_refunded_part, refund_the_rest, refund_in_vain, begin_another]


class BrowsesLists(Scenario):
    """9. Somebody of the shop looks through its items, users and paid orders."""

    tasks = [
        browse_items, browse_more_items, browse_more_items, browse_users, browse_paid_orders, look_at_listed_order,
        begin_another]


# They need /v1.
_OF_V1 = {ReservesAndBuys: 10, IsRefundedInParts: 10, BrowsesLists: 10}


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
    } | ({} if os.environ.get("STRESS_WITHOUT_V1") else _OF_V1)
