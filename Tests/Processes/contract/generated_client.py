"""What a program does with a client that was generated from `/openapi.json`. It runs where that client can be imported, and is
given the address of the shop; test_generated_client starts it.
"""

import sys

from kontor_client import Client
from kontor_client.api.order import add_item, checkout, create_order, find_order
from kontor_client.api.payment import add_funds, create_user, find_user
from kontor_client.api.stock import add_stock, create_item, find_item
from kontor_client.models import (
    CheckedOut, Done, Item, ItemCreated, Order, OrderCreated, Problem, ProblemType, User, UserCreated)


def expect(value, kind):
    """The value, which must be of this class of the generated client."""
    if not isinstance(value, kind):
        raise AssertionError(f"not a {kind.__name__}: {value}")
    return value


def main(address: str):
    client = Client(base_url=address)
    item = expect(create_item.sync("7.5", client=client), ItemCreated).item_id
    user = expect(create_user.sync(client=client, idempotency_key="user-1"), UserCreated).user_id
    again = create_user.sync_detailed(client=client, idempotency_key="user-1")
    assert expect(again.parsed, UserCreated).user_id == user and again.headers["idempotent-replayed"] == "true"
    expect(add_funds.sync(user, "20", client=client), Done)
    order = expect(create_order.sync(user, client=client), OrderCreated).order_id
    expect(add_item.sync(order, item, 2, client=client), Done)

    answer = checkout.sync_detailed(order, client=client)
    refused = expect(answer.parsed, Problem)
    assert (answer.status_code, refused.status) == (409, 409)
    assert refused.type_ is ProblemType.OUT_OF_STOCK, refused.type_
    assert refused.type_ == "/problems/out-of-stock" and refused.title == "Out of stock"
    assert "2 units" in refused.detail and "0 are left" in refused.detail, refused.detail
    assert (refused.order_id, refused.item_id) == (order, item)

    expect(add_stock.sync(item, 2, client=client), Done)
    assert expect(checkout.sync(order, client=client, request_timeout_ms=4_000), CheckedOut).order_id == order
    found = expect(find_order.sync(order, client=client), Order)
    assert (found.paid, found.items, found.total_cost, found.user_id) == (True, [[item, 2]], 15, user)
    assert expect(find_item.sync(item, client=client), Item).to_dict() == {"stock": 0, "price": 7.5}
    assert expect(find_user.sync(user, client=client), User).credit == 5

    changed = expect(add_item.sync(order, item, 1, client=client), Problem)
    assert changed.type_ is ProblemType.ORDER_PAID and not changed.item_id == ""
    unknown = expect(find_item.sync("none", client=client), Problem)
    assert unknown.type_ is ProblemType.UNKNOWN_ITEM and unknown.item_id == "none"
    assert expect(add_stock.sync(item, 0, client=client), Problem).type_ is ProblemType.MALFORMED_REQUEST
    print(f"bought {order}")


if __name__ == "__main__":
    main(sys.argv[1])
