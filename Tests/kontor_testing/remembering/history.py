"""What a client remembers: of each operation what was meant, and what became of it.

The history knows accounts (items and users), orders with their lines, and the attempts to check them out. Money is in
hundredths. Nothing here talks to a server: `shop.py` writes it down, `judge.py` compares it with what is found.
"""

import collections
import enum
import time
from dataclasses import dataclass, field
from itertools import combinations


class Fate(enum.Enum):
    """What became of a write, as far as its client was told."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Change:
    """One intended change of an amount."""

    started: float
    ended: float
    delta: int
    fate: Fate


class Counter:
    """An amount that only direct operations change; what checkouts take from it is counted elsewhere."""

    def __init__(self):
        self.changes = []
        self.certain = 0

    def book(self, started: float, delta: int, fate: Fate) -> Change:
        change = Change(started, time.monotonic(), delta, fate)
        self.changes.append(change)
        if fate is Fate.DONE:
            self.certain += delta
        return change

    @property
    def unknown(self) -> list:
        return [change for change in self.changes if change.fate is Fate.UNKNOWN]

    def settle(self, found: int) -> bool:
        """Decides which of the unknown changes happened, each once or not at all.

        Returns False if no choice of them explains what was found. Clients choose amounts of which at most one choice does.
        """
        unknown = self.unknown
        choices = [
            chosen for size in range(len(unknown) + 1) for chosen in combinations(unknown, size)
            if self.certain + sum(change.delta for change in chosen) == found]
        if len(choices) > 1:
            raise AssertionError(f"a test used amounts that cannot be told apart: {unknown}")
        if not choices:
            return False
        for change in unknown:
            happened = any(change is chosen for chosen in choices[0])
            change.fate = Fate.DONE if happened else Fate.REFUSED
            change.ended = time.monotonic()
        self.certain = found
        return True


@dataclass
class Account:
    """An item (units, with a price) or a user (hundredths of credit)."""

    id: str
    is_item: bool
    price: int = 0
    counter: Counter = field(default_factory=Counter)

    def __str__(self):
        return f"{'item' if self.is_item else 'user'} {self.id}"


@dataclass
class Attempt:
    """One request to check an order out."""

    started: float
    ended: float
    fate: Fate
    problem: str = None


@dataclass
class Order:
    """An order; its lines are counters of units, by item."""

    id: str
    user: str
    lines: dict = field(default_factory=dict)
    attempts: list = field(default_factory=list)
    is_paid: bool = False

    @property
    def unknown_attempts(self) -> list:
        return [attempt for attempt in self.attempts if attempt.fate is Fate.UNKNOWN]

    @property
    def units(self) -> dict:
        """By item, without lines of zero units."""
        return {item: line.certain for item, line in self.lines.items() if line.certain}

    @property
    def paid_from(self) -> float:
        """The earliest moment at which it can have been paid."""
        return min((attempt.started for attempt in self.attempts if attempt.fate is not Fate.REFUSED), default=0.0)

    def settle(self, is_paid: bool):
        """Decides the unknown attempts by what was found."""
        self.is_paid = is_paid
        for attempt in self.unknown_attempts:
            attempt.fate = Fate.DONE if is_paid else Fate.REFUSED
            attempt.ended = max(attempt.ended, time.monotonic())


@dataclass
class Payment:
    """Direct payments of a user for an order, and their cancellations, in turn."""

    user: str
    order: str
    changes: list = field(default_factory=list)

    @property
    def is_paid(self) -> bool:
        """Once all changes are settled."""
        done = [change for change in self.changes if change.fate is Fate.DONE]
        return bool(done) and done[-1].delta < 0


@dataclass
class Refusal:
    """A refusal that says that an account did not have enough, or that others held it for too long."""

    problem: str
    account: str
    wanted: int
    started: float
    ended: float
    waited_since: float


class History:
    """All that one client knows about one data directory."""

    def __init__(self):
        self.accounts = {}
        self.orders = {}
        self.payments = {}
        self.refusals = []
        # Contended is said when a write's deadline (5 s) comes, a little before it.
        self.contended_seconds = 4
        # Answers that are wrong whatever the final state is.
        self.violations = []
        # Touched since they were last compared with what is found.
        self.recent_orders = set()
        self.recent_accounts = set()
        self.recent_payments = set()
        self.answers = 0
        # How often each status or problem was the answer.
        self.tally = collections.Counter()

    def cost(self, order: Order) -> int:
        return sum(units * self.accounts[item].price for item, units in order.units.items())
