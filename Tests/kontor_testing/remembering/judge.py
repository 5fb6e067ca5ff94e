"""Compares what is found in a shop with what its client remembers (P1, P2, P3, P5).

The rules. Each answered write is there, each refused one is not, each unknown one is there once or not at all. An order
that says paid is sold and charged exactly once: an item's stock is what was put in and taken out directly, less the units
of all paid orders, and a user's credit likewise. Nobody was refused while the committed amount sufficed all the time.
To be asked while no load runs.
"""

import asyncio
import time

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.remembering.history import Account, Fate, History, Order
from Tests.kontor_testing.remembering.shop import hundredths

# P5: every started checkout reaches its end this soon after a restart.
SETTLING_SECONDS = 5
# So long a checkout may still begin whose client was told that nobody knows: its deadline, and a second on a busy machine.
_LATE_SECONDS = 6


async def judge(history: History, client: Client, only_recent: bool = False) -> list:
    """All violations, as sentences; empty if there are none. Settles what was unknown.

    With `only_recent` it reads only what was touched since the last judgement.
    """
    orders = [history.orders[id] for id in (history.recent_orders if only_recent else history.orders)]
    violations, history.violations = history.violations, []
    violations += await until_settled(orders, client)
    unknown = [order for order in orders if order.unknown_attempts]
    for order, answer in zip(orders, await _read(client, [f"/orders/find/{order.id}" for order in orders])):
        violations += _judge_order(history, order, answer)
        history.recent_accounts |= {order.user, *order.lines}
    accounts = [history.accounts[id] for id in (history.recent_accounts if only_recent else history.accounts)]
    wrong = await _judge_accounts(history, accounts, client)
    if wrong and unknown:
        # Who was told that nobody knows was told the truth as long as his checkout may still begin.
        await asyncio.sleep(_LATE_SECONDS)
        for order, answer in zip(unknown, await _read(client, [f"/orders/find/{order.id}" for order in unknown])):
            if answer.status == 200 and answer.json()["paid"]:
                order.settle(True)
        wrong = await _judge_accounts(history, accounts, client)
    violations += wrong
    payments = [history.payments[key] for key in (history.recent_payments if only_recent else history.payments)]
    violations += await _judge_payments(payments, client)
    violations += _judge_refusals(history)
    history.recent_orders.clear()
    history.recent_accounts.clear()
    history.recent_payments.clear()
    return violations


async def until_settled(orders: list, client: Client) -> list:
    """Waits for the end of every checkout that was not answered. Names those that take too long.

    The question is a request that can have no effect: to remove something that is not in the order.
    """
    deadline = time.monotonic() + SETTLING_SECONDS

    async def settle(order: Order):
        while True:
            answer = await client.delete(f"/orders/removeItem/{order.id}/not-in-any-order")
            if answer.problem == "order-paid":
                # That is decided; it has ended once all captures are there too, and then the same checkout says so.
                answer = await client.post(f"/orders/checkout/{order.id}")
                if answer.status == 200:
                    return None
            elif answer.status in (404, 409) and answer.problem != "order-checking-out":
                return None
            if time.monotonic() > deadline:
                return f"the checkout of order {order.id} has not ended {SETTLING_SECONDS} s later: {answer}"
            await asyncio.sleep(0.01)

    late = await asyncio.gather(*(settle(order) for order in orders if order.unknown_attempts))
    return [sentence for sentence in late if sentence]


async def _read(client: Client, paths: list) -> list:
    return await asyncio.gather(*(client.get(path) for path in paths))


def _judge_order(history: History, order: Order, answer: Answer) -> list:
    if answer.status != 200:
        return [f"order {order.id} was created, and reading it says {answer}"]
    found = answer.json()
    violations = []
    units = dict(found["items"])
    if len(units) != len(found["items"]) or not set(units) <= set(order.lines):
        violations.append(f"order {order.id} has the lines {found['items']}, and {list(order.lines)} were added")
    for item, line in order.lines.items():
        if not line.settle(units.get(item, 0)):
            violations.append(
                f"order {order.id} has {units.get(item, 0)} of {item}: expected {line.certain}, or that with some of "
                f"{[change.delta for change in line.unknown]}")
    if hundredths(found["total_cost"]) != history.cost(order) or found["user_id"] != order.user:
        violations.append(f"order {order.id} should cost {history.cost(order)} hundredths for {order.user}: {found}")
    if order.is_paid and not found["paid"]:
        violations.append(f"order {order.id} was paid, and is not any more")
    if found["paid"] and not order.is_paid and not order.unknown_attempts:
        violations.append(f"order {order.id} is paid, though every checkout of it was refused")
    order.settle(found["paid"])
    return violations


async def _judge_accounts(history: History, accounts: list, client: Client) -> list:
    sold = _sold(history)
    answers = await _read(client, [
        f"/stock/find/{account.id}" if account.is_item else f"/payment/find_user/{account.id}" for account in accounts])
    return [
        sentence for account, answer in zip(accounts, answers)
        for sentence in _judge_account(account, sold.get(account.id, 0), answer)]


def _sold(history: History) -> dict:
    """By account: what all paid orders took."""
    sold = {}
    for order in history.orders.values():
        if order.is_paid:
            for item, units in order.units.items():
                sold[item] = sold.get(item, 0) + units
            sold[order.user] = sold.get(order.user, 0) + history.cost(order)
    return sold


def _judge_account(account: Account, sold: int, answer: Answer) -> list:
    if answer.status != 200:
        return [f"{account} was created, and reading it says {answer}"]
    found = answer.json()
    amount = found["stock"] if account.is_item else hundredths(found["credit"])
    if account.is_item and hundredths(found["price"]) != account.price:
        return [f"{account} should cost {account.price} hundredths: {found}"]
    if account.counter.settle(amount + sold):
        return []
    return [
        f"{account} has {amount}: expected {account.counter.certain - sold} ({sold} were sold), or that with some of "
        f"{[change.delta for change in account.counter.unknown]}"]


async def _judge_payments(payments: list, client: Client) -> list:
    answers = await _read(client, [f"/payment/status/{payment.user}/{payment.order}" for payment in payments])
    return [
        f"the direct payment of {payment.user} for {payment.order} should be {payment.is_paid}: {answer}"
        for payment, answer in zip(payments, answers)
        if answer.status != 200 or answer.json()["paid"] != payment.is_paid]


def _judge_refusals(history: History) -> list:
    """P3, for the refusals since the last judgement."""
    takers = {}
    for order in history.orders.values():
        if order.is_paid:
            for account in (order.user, *order.units):
                takers.setdefault(account, []).append(order)
    violations = []
    refusals, history.refusals = history.refusals, []
    for refusal in refusals:
        if refusal.problem in ("out-of-stock", "out-of-credit"):
            least = _least_amount(history, history.accounts[refusal.account], takers, refusal.started, refusal.ended)
            if least >= refusal.wanted:
                violations.append(
                    f"{refusal.problem} was said of {refusal.account}, which never had less than {least} of the "
                    f"{refusal.wanted} wanted")
        elif refusal.problem == "contended" and refusal.ended - refusal.waited_since < history.contended_seconds:
            violations.append(f"contended was said after {refusal.ended - refusal.waited_since:.2f} s: {refusal}")
    return violations


def _least_amount(history: History, account: Account, takers: dict, started: float, ended: float) -> int:
    """What the account had committed at least, at every moment between two."""
    least = 0
    for change in account.counter.changes:
        if change.fate is not Fate.DONE:
            continue
        if change.delta > 0 and change.ended < started or change.delta < 0 and change.started < ended:
            least += change.delta
    for order in takers.get(account.id, []):
        if order.paid_from < ended:
            least -= order.units[account.id] if account.is_item else history.cost(order)
    return least
