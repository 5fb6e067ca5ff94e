"""A shop as its clients see it: every operation of the HTTP contract, written down in a history with its outcome."""

import time
from decimal import Decimal

from Tests.kontor_testing.http_client import Answer, Client, Outcome, Unanswered
from Tests.kontor_testing.remembering.history import Account, Attempt, Counter, Fate, History, Order, Payment, Refusal

# Refusals that may meet a correct request for things that exist.
_EXPECTED_REFUSALS = (409, 424, 429)


def money(hundredths: int) -> str:
    """As it is written in a path: `5` or `7.23`."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}" if rest else str(whole)


def hundredths(number) -> int:
    """From a JSON number; anything finer than hundredths is an error."""
    value = Decimal(number) * 100
    if value != int(value):
        raise AssertionError(f"{number} is no amount of money")
    return int(value)


class Shop:
    """A client with a memory. Ids are those of the server; amounts of money are hundredths."""

    def __init__(self, client: Client, history: History = None):
        self.client = client
        self.history = history or History()
        # Set by the first outcome that is unknown: a load should end, so that the judge has few of them to decide.
        self.has_unknown = False

    # Accounts

    async def create_item(self, price: int, stock: int = 0):
        """The new item's id; None if the outcome is unknown or a refusal."""
        item = await self._create(f"/stock/item/create/{money(price)}", "item_id")
        if item is None:
            return None
        self.history.accounts[item] = Account(item, is_item=True, price=price)
        if stock:
            await self.add_stock(item, stock)
        return item

    async def create_user(self, credit: int = 0):
        user = await self._create("/payment/create_user", "user_id")
        if user is None:
            return None
        self.history.accounts[user] = Account(user, is_item=False)
        if credit:
            await self.add_funds(user, credit)
        return user

    async def add_stock(self, item: str, units: int) -> Outcome:
        return await self._change(item, f"/stock/add/{item}/{units}", units)

    async def subtract_stock(self, item: str, units: int) -> Outcome:
        return await self._change(item, f"/stock/subtract/{item}/{units}", -units)

    async def add_funds(self, user: str, amount: int) -> Outcome:
        return await self._change(user, f"/payment/add_funds/{user}/{money(amount)}", amount)

    async def pay(self, user: str, order: str, amount: int) -> Outcome:
        """A direct payment for an order."""
        payment = self.history.payments.setdefault((user, order), Payment(user, order))
        return await self._change(user, f"/payment/pay/{user}/{order}/{money(amount)}", -amount, payment)

    async def cancel(self, user: str, order: str) -> Outcome:
        """Takes back the direct payment that was made last."""
        payment = self.history.payments[user, order]
        amount = payment.changes[-1].delta
        return await self._change(user, f"/payment/cancel/{user}/{order}", -amount, payment)

    # Orders

    async def create_order(self, user: str):
        order = await self._create(f"/orders/create/{user}", "order_id")
        if order is None:
            return None
        self.history.orders[order] = Order(order, user)
        self.history.recent_orders.add(order)
        return order

    async def add_item(self, order: str, item: str, units: int) -> Outcome:
        return await self._change_line(order, item, "POST", f"/orders/addItem/{order}/{item}/{units}", units)

    async def remove_item(self, order: str, item: str) -> Outcome:
        return await self._change_line(order, item, "DELETE", f"/orders/removeItem/{order}/{item}", -1)

    async def checkout(self, order: str, timeout_milliseconds: int = None) -> Outcome:
        """With the usual deadline, or one of its own."""
        started = time.monotonic()
        path = f"/orders/checkout/{order}"
        headers = {"Request-Timeout-Ms": timeout_milliseconds} if timeout_milliseconds else None
        outcome = await self.client.request("POST", path, headers)
        memory = self.history.orders[order]
        attempt = Attempt(started, time.monotonic(), self._fate(path, outcome))
        memory.attempts.append(attempt)
        self._touch(memory.user, *memory.lines)
        self.history.recent_orders.add(order)
        if attempt.fate is Fate.DONE:
            memory.is_paid = True
        elif attempt.fate is Fate.REFUSED and isinstance(outcome, Answer):
            attempt.problem = outcome.problem
            self._check_refusal_of_paid(memory, attempt, outcome.json().get("detail", ""))
            self._remember_refusal(memory, attempt, outcome)
        return outcome

    async def order_of(self, user: str, units_by_item: dict):
        """An order with these lines; None if one of the steps was not answered with success."""
        order = await self.create_order(user)
        if order is None:
            return None
        for item, units in units_by_item.items():
            if (await self.add_item(order, item, units)).status != 200:
                return None
        return order

    # What an outcome means

    def _fate(self, path: str, outcome: Outcome) -> Fate:
        """Anything but success, a refusal that may be, and 504 is a mistake of the server."""
        if isinstance(outcome, Answer):
            self.history.answers += 1
            self.history.tally[outcome.problem or outcome.status] += 1
            if 200 <= outcome.status < 300:
                return Fate.DONE
            if outcome.status not in (*_EXPECTED_REFUSALS, 504):
                self.history.violations.append(f"{path} was answered with {outcome}")
            if outcome.status < 500:
                return Fate.REFUSED
        self.has_unknown = True
        is_unsent = isinstance(outcome, Unanswered) and not outcome.was_sent
        return Fate.REFUSED if is_unsent else Fate.UNKNOWN

    async def _create(self, path: str, key: str):
        outcome = await self.client.post(path)
        return outcome.json()[key] if self._fate(path, outcome) is Fate.DONE else None

    async def _change(self, account: str, path: str, delta: int, payment: Payment = None) -> Outcome:
        started = time.monotonic()
        outcome = await self.client.post(path)
        change = self.history.accounts[account].counter.book(started, delta, self._fate(path, outcome))
        self._touch(account)
        if payment is not None:
            payment.changes.append(change)
            self.history.recent_payments.add((payment.user, payment.order))
        if change.fate is Fate.REFUSED and isinstance(outcome, Answer):
            self.history.refusals.append(
                Refusal(outcome.problem, account, -delta, started, change.ended, waited_since=started))
        return outcome

    async def _change_line(self, order: str, item: str, method: str, path: str, delta: int) -> Outcome:
        started = time.monotonic()
        outcome = await self.client.request(method, path)
        memory = self.history.orders[order]
        memory.lines.setdefault(item, Counter()).book(started, delta, self._fate(path, outcome))
        self.history.recent_orders.add(order)
        return outcome

    def _touch(self, *accounts):
        self.history.recent_accounts.update(accounts)

    def _check_refusal_of_paid(self, order: Order, attempt: Attempt, detail: str):
        """Only what is said before anybody looked at the order may meet a paid one."""
        if attempt.problem in ("overloaded", "not-serving") or (attempt.problem == "unavailable" and "cannot be reached" in detail):
            return
        for earlier in order.attempts:
            if earlier.fate is Fate.DONE and earlier.ended < attempt.started:
                self.history.violations.append(f"order {order.id} was paid, then refused with {attempt.problem}")

    def _remember_refusal(self, order: Order, attempt: Attempt, answer: Answer):
        """A refusal after the restart of a server ends what earlier attempts began."""
        overlapping = [a.started for a in order.attempts if a.fate is Fate.UNKNOWN or a.ended >= attempt.started]
        if answer.status == 409:
            for earlier in order.unknown_attempts:
                if earlier.ended < attempt.started:
                    earlier.fate = Fate.REFUSED
        problem = answer.json()
        account = problem.get("item_id") or problem.get("user_id")
        wanted = order.units.get(account, 0) if "item_id" in problem else self.history.cost(order)
        self.history.refusals.append(
            Refusal(attempt.problem, account, wanted, attempt.started, attempt.ended, min(overlapping)))
