"""What a program does with a client that was generated from `/openapi.json`. It runs where that client can be imported, and is
given the address of the shop; test_generated_client starts it.
"""

import sys

from kontor_client import Client
from kontor_client.api.order import (
    add_item, check_out_order, checkout, create_order, find_order, get_order, list_orders, list_refunds, order_timeline, place_order,
    refund_order, remove_open_order, replace_lines)
from kontor_client.api.payment import add_funds, adjust_user, create_user, find_user, get_user, new_user
from kontor_client.api.stock import add_stock, adjust_item, create_item, find_item, get_item, new_item
from kontor_client.models import (
    CheckedOut, CreditAdjusted, CreditAdjustment, Done, Item, ItemCreated, ItemResource, Lines, NewItem, NewOrder, NewRefund, NewUser,
    Order, OrderCreated, OrderResource, Orders, PlacedOrder, Problem, ProblemType, Refund, Refunds, StockAdjusted, StockAdjustment,
    Timeline, User, UserCreated, UserResource, WantedLine)


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
    resources(client)
    print(f"bought {order}")


def resources(client):
    """The same through /v1, with bodies."""
    item = expect(new_item.sync(client=client, body=NewItem(price="2.50", stock=3)), ItemResource)
    assert (item.price, item.stock, item.available) == ("2.50", 3, 3)
    user = expect(new_user.sync(client=client, body=NewUser(credit="4.00")), UserResource)
    body = NewOrder(user_id=user.id, lines=[WantedLine(item_id=item.id, units=2)], checkout=True)
    missing = expect(place_order.sync(client=client, body=body), Problem)
    assert (missing.type_, missing.pointer) == (ProblemType.MALFORMED_REQUEST, "/checkout")
    placed = expect(place_order.sync(client=client, body=body, idempotency_key="place-1"), PlacedOrder)
    assert placed.state == "open" and placed.checkout_problem.type_ is ProblemType.OUT_OF_CREDIT, placed
    adjusted = expect(adjust_user.sync(user.id, client=client, body=CreditAdjustment(amount="1.00", reason="a gift")), CreditAdjusted)
    assert adjusted.amount == "1.00"
    answer = place_order.sync_detailed(client=client, body=body, idempotency_key="place-1")
    paid = expect(answer.parsed, PlacedOrder)
    assert (paid.id, paid.state, paid.total, answer.headers["location"]) == (placed.id, "paid", "5.00", f"/v1/orders/{placed.id}")
    order = expect(place_order.sync(client=client, body=NewOrder(user_id=user.id, lines=[])), PlacedOrder)
    shown = get_order.sync_detailed(order.id, client=client)
    lines = Lines(lines=[WantedLine(item_id=item.id, units=1)])
    changed = expect(replace_lines.sync(order.id, client=client, body=lines, if_match=shown.headers["etag"]), OrderResource)
    assert changed.total == "2.50" and changed.lines[0].unit_price == "2.50"
    stale = expect(replace_lines.sync(order.id, client=client, body=lines, if_match=shown.headers["etag"]), Problem)
    assert stale.type_ is ProblemType.CHANGED_SINCE
    refused = expect(check_out_order.sync(order.id, client=client), Problem)
    assert refused.type_ is ProblemType.OUT_OF_CREDIT
    assert expect(remove_open_order.sync(order.id, client=client), OrderResource).state == "removed"
    assert expect(order_timeline.sync(placed.id, client=client), Timeline).total_cost == "5.00"
    assert expect(get_item.sync(item.id, client=client), ItemResource).stock == 1
    assert expect(get_user.sync(user.id, client=client), UserResource).credit == "0.00"
    refund = expect(refund_order.sync(placed.id, client=client, body=NewRefund(reason="late")), Refund)
    assert (refund.amount, refund.reason, refund.restock) == ("5.00", "late", True)
    nothing = expect(refund_order.sync(placed.id, client=client), Problem)
    assert nothing.type_ is ProblemType.NOTHING_TO_REFUND
    assert [found.amount for found in expect(list_refunds.sync(placed.id, client=client), Refunds).data] == ["5.00"]
    page = expect(list_orders.sync(client=client, user_id=user.id, limit=1), Orders)
    assert len(page.data) == 1 and page.next_cursor, page
    rest = expect(list_orders.sync(client=client, user_id=user.id, limit=1, cursor=page.next_cursor), Orders)
    assert {page.data[0].id, rest.data[0].id} == {placed.id, order.id}
    assert expect(adjust_item.sync(item.id, client=client, body=StockAdjustment(units=-1)), StockAdjusted).units == -1


if __name__ == "__main__":
    main(sys.argv[1])
