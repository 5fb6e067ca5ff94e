"""Three times more checkouts than the shop can do: what is done, what is refused, and what is left behind.

    python3 -m Tests.Processes.load.overload             # 30 s at 3 times the peak, server and generator on a processor each
    python3 -m Tests.Processes.load.overload --basket 2  # orders of two items: see docs/performance.md
    python3 -m Tests.Processes.load.overload --shared    # both on the same processors: the peak pays for its generator too

`test_overload.py` runs the same for a few seconds, with loose bounds.
"""

import argparse
import asyncio
from typing import NamedTuple

from Tests.kontor_testing.bench import line, statuses
from Tests.kontor_testing.proc import resident_bytes
from Tests.kontor_testing.running.server import Server
from Tests.Processes.load.experiment import MIB, Finding, journal_bytes, load, run_experiment


class Plan(NamedTuple):
    """How long, how hard, and what must come of it."""

    is_pinned: bool
    peak_seconds: float = 5
    overload_seconds: float = 30
    rest_seconds: float = 10
    orders: int = 700_000
    # Items of an order: see "Overload" in docs/performance.md.
    basket: int = 12
    # Connections that are open before the overload begins: more than may be in flight.
    clients: int = 2_500
    users: int = 100_000
    settle_seconds: float = 5
    factor: float = 3
    least_goodput: float = 0.8
    # Of what was offered: not sent because the server kept all connections waiting.
    most_unsent: float = 0.01
    refusal_milliseconds: float = 5
    least_peak_after: float = 0.85
    most_latency_after: float = 1.5
    latency_allowance_milliseconds: float = 3


class Overload:
    """The experiment on a server that runs."""

    def __init__(self, server: Server, plan: Plan, show=print):
        self._server = server
        self._plan = plan
        self._show = show
        self._first = 0
        self._has_orders = False

    async def run(self) -> list:
        """The findings; all must be good."""
        plan = self._plan
        # Fills the cache, and the kernel's memory of connections, so that "before" is a shop that has been at work.
        await self._peak()
        await self._settle()
        peak = await self._peak()
        await self._settle()
        calm = await self._checkouts("half of the peak", plan.peak_seconds, peak / 2)
        memory = resident_bytes(self._server.pid)
        books = await self._server.audit()
        overload = await self._checkouts(
            f"{plan.factor:g} times the peak", plan.overload_seconds, plan.factor * peak, plan.clients)
        books_after = await self._server.audit()
        await asyncio.sleep(plan.rest_seconds)
        rested = await self._server.audit()
        memory_after = resident_bytes(self._server.pid)
        calm_after = await self._checkouts("half of the peak", plan.peak_seconds, peak / 2)
        peak_after = await self._peak()
        return [
            *self._during(overload, peak),
            Finding(
                "every refused order is unpaid, every other paid",
                books_after["paidOrders"] - books["paidOrders"] == line(overload, 200)["count"],
                f"{books_after['paidOrders'] - books['paidOrders']} paid, {line(overload, 200)['count']} were told so"),
            Finding("no checkout is left open", rested["openSagas"] == 0, f"{rested['openSagas']} open"),
            *self._after(calm, calm_after, peak, peak_after, memory, memory_after),
        ]

    def _during(self, report: dict, peak: float) -> list:
        plan, done, refused = self._plan, line(report, 200), line(report, 429)
        return [
            Finding(
                f"goodput is at least {plan.least_goodput:.0%} of the peak", done["perSecond"] >= plan.least_goodput * peak,
                f"{done['perSecond']:.0f}/s of {peak:.0f}/s are {done['perSecond'] / peak:.0%}"),
            Finding("the rest is 429", statuses(report) <= {200, 429} and refused["count"] > 0,
                    f"{refused['perSecond']:.0f}/s; statuses {sorted(statuses(report))}"),
            Finding("and nothing else: what was offered was read",
                    report["unsent"] <= plan.most_unsent * (report["sent"] + report["unsent"]) and not report["unanswered"],
                    f"{report['unsent']} of {report['sent'] + report['unsent']} not sent, {report['unanswered']} unanswered"),
            Finding("each 429 says when to come back", report["refusedWithoutRetryAfter"] == 0,
                    f"{report['refusedWithoutRetryAfter']} do not"),
            Finding(f"99 % of refusals come within {plan.refusal_milliseconds:g} ms",
                    refused["latency"]["p99"] <= plan.refusal_milliseconds, f"p99 {refused['latency']['p99']:.2f} ms"),
        ]

    def _after(self, calm, calm_after, peak, peak_after, memory, memory_after) -> list:
        plan = self._plan
        before, after = line(calm, 200)["latency"]["p99"], line(calm_after, 200)["latency"]["p99"]
        return [
            Finding("afterwards all is done again at half of the peak", statuses(calm_after) == {200},
                    f"statuses {sorted(statuses(calm_after))}"),
            Finding("its latency is as before",
                    after <= plan.most_latency_after * before + plan.latency_allowance_milliseconds,
                    f"p99 {after:.2f} ms, before {before:.2f} ms"),
            Finding("the peak is as before", peak_after >= plan.least_peak_after * peak,
                    f"{peak_after:.0f}/s, before {peak:.0f}/s"),
            Finding("memory is as before", memory_after <= 1.25 * memory + 64 * MIB,
                    f"{memory_after / MIB:.0f} MiB, before {memory / MIB:.0f} MiB"),
        ]

    async def _settle(self) -> None:
        """Waits until the fold has nothing to do: the journal stays as large as it is."""
        size = None
        while size != journal_bytes(self._server):
            size = journal_bytes(self._server)
            await asyncio.sleep(self._plan.settle_seconds)

    async def _peak(self) -> float:
        """The best of two closed loops, in checkouts a second."""
        rates = []
        for connections in (64, 256):
            report = await self._checkouts(f"{connections} clients", self._plan.peak_seconds, connections=connections)
            rates.append(line(report, 200)["perSecond"])
        return max(rates)

    async def _checkouts(self, name: str, seconds: float, rate: float | None = None, connections: int = 64) -> dict:
        """One run over orders that none before it has used: an open loop if there is a rate."""
        options = ("--no-initialize",) if self._has_orders else ("--basket", self._plan.basket)
        if rate is not None:
            options += ("--rate", rate)
        report = await load(
            self._server, "checkout", "--orders", self._plan.orders, "--users", self._plan.users, "--first", self._first,
            "--warm-up", 0, "--duration", seconds, "--connections", connections, *options, is_pinned=self._plan.is_pinned,
            seconds=900)
        self._has_orders = True
        self._first = report["firstUnused"]
        if report["ranOut"]:
            raise AssertionError(f"{self._plan.orders} orders are too few: this ran out of them at {name}")
        done = line(report, 200)
        self._show(f"{name}: {done['perSecond']:.0f}/s, p50 {done['latency']['p50']:.2f} ms, "
                   f"p99 {done['latency']['p99']:.2f} ms; {line(report, 429)['perSecond']:.0f}/s refused, "
                   f"p99 {line(report, 429)['latency']['p99']:.2f} ms; {report['unsent']} not sent")
        return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", action="store_true", help="server and generator on the same processors")
    parser.add_argument("--factor", type=float, default=3, help="how many times the peak")
    parser.add_argument("--basket", type=int, default=12, help="items of an order")
    parser.add_argument("--orders", type=int, default=700_000, help="how many to make")
    parser.add_argument("--seconds", type=float, default=30, help="how long")
    arguments = parser.parse_args()
    plan = Plan(
        is_pinned=not arguments.shared, factor=arguments.factor, overload_seconds=arguments.seconds, basket=arguments.basket,
        orders=arguments.orders)
    run_experiment(
        lambda server: Overload(server, plan).run(), plan.is_pinned, good="The overload was borne.",
        bad="The overload was NOT borne.")
