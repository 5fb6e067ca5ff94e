"""Compares what the clients were told with what the shop's databases say: pure, so that it can be read and tried alone."""

from collections import Counter
from dataclasses import dataclass, field

from population import CREDIT, PRICE, Order, Population


@dataclass(frozen=True)
class Told:
    """A line of the log: what the client of one checkout was told at last."""

    order: Order
    status: int

    @property
    def word(self) -> str:
        if 200 <= self.status < 300:
            return "PAID"
        return "REFUSED" if 400 <= self.status < 500 else "UNKNOWN"

    def __str__(self):
        return f"{self.order.id} user {self.order.user} item {self.order.item} {self.word} {self.status}"


@dataclass(frozen=True)
class Found:
    """What the databases say afterwards, by id."""

    stock: dict
    credit: dict
    paid: dict


@dataclass
class Verdict:
    """The number of inconsistencies of each kind, and a sentence for each place where there are some."""

    stock: int = 0
    payment: int = 0
    orders: int = 0
    sentences: list = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.stock or self.payment or self.orders)


def compare(population: Population, log: list, found: Found) -> Verdict:
    """Units that are missing or too many, credit that is missing or too much, and orders whose clients were told something else."""
    verdict = Verdict()
    paid = [told.order for told in log if told.word == "PAID"]
    sold, bought = Counter(order.item for order in paid), Counter(order.user for order in paid)
    for item in population.items:
        verdict.stock += (wrong := _wrong(found.stock[item], population.scale.stock - sold[item]))
        if wrong:
            verdict.sentences.append(
                f"stock: of item {item} {sold[item]} were sold, and {found.stock[item]} of {population.scale.stock} are left")
    for user in population.users:
        verdict.payment += (wrong := _wrong(found.credit[user], CREDIT - PRICE * bought[user]))
        if wrong:
            verdict.sentences.append(
                f"payment: user {user} has {bought[user]} paid orders, and {found.credit[user]} of a credit of {CREDIT} are left")
    for told in log:
        if told.word == "UNKNOWN":
            verdict.orders += 1
            verdict.sentences.append(f"orders: nobody was told what became of order {told.order.id} (last answer: {told.status})")
        elif found.paid[told.order.id] != (told.word == "PAID"):
            verdict.orders += 1
            verdict.sentences.append(f"orders: {told}, and the shop says that paid is {found.paid[told.order.id]}")
    _find_refusals_in_vain(log, found, verdict)
    return verdict


def _wrong(found, expected):
    """How far it is from what it should be. Less than nothing should never be, even if the shop says so."""
    return max(abs(found - expected), -expected)


def _find_refusals_in_vain(log: list, found: Found, verdict: Verdict):
    """Stock and credit only fall here: what a refused client could still buy at the end was there all the time."""
    refused = {}
    for told in log:
        order = told.order
        if told.word == "REFUSED" and found.credit[order.user] >= PRICE:
            refused.setdefault(order.item, set()).add(order.user)
    for item, users in refused.items():
        units = min(found.stock[item], len(users))
        if units > 0:
            verdict.stock += units
            verdict.sentences.append(
                f"stock: {found.stock[item]} of item {item} are left, and {len(users)} clients with credit were refused")
