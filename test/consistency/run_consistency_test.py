#!/usr/bin/env python3
"""Very many want what is scarce, all at once. Then what they were told is compared with the databases, read over HTTP.

    python3 run_consistency_test.py             100 items with 1 in stock
    python3 run_consistency_test.py --one-item  1 item with 100 in stock

The exit code is 1 if anything is inconsistent, and 2 if the shop could not be asked.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

import aiohttp
from population import Population, Scale, populate
from shop_client import ShopClient, ShopFailure, gateway_url
from verdict import Found, Told, Verdict, compare

# Sentences that are printed of each run.
_MOST_SENTENCES = 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The consistency test: scarce items, and many concurrent checkouts.")
    parser.add_argument("--one-item", action="store_true", help="one item with a stock of --items, not --items with one each")
    parser.add_argument("--runs", type=int, default=1, help="how often, each time with new items, users and orders")
    parser.add_argument("--items", type=int, default=100, help="units that there are (default: %(default)s)")
    parser.add_argument("--users", type=int, default=1_000, help="users with a credit of 1 (default: %(default)s)")
    parser.add_argument("--checkouts", type=int, default=1_000, help="orders, checked out at once (default: %(default)s)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="appends what each client was told")
    parser.add_argument("--url", default=gateway_url(), help="the gateway (default: %(default)s)")
    return parser.parse_args()


async def told_at_once(shop: ShopClient, population: Population) -> list:
    """The log of concurrent checkouts of all orders."""
    statuses = await asyncio.gather(*(shop.check_out(order.id) for order in population.orders))
    return [Told(order, status) for order, status in zip(population.orders, statuses)]


async def found(shop: ShopClient, population: Population) -> Found:
    async def read(path: str, name: str, ids: list) -> dict:
        answers = await asyncio.gather(*(shop.read(f"{path}/{id}") for id in ids))
        return {id: answer[name] for id, answer in zip(ids, answers)}

    return Found(
        await read("/stock/find", "stock", population.items), await read("/payment/find_user", "credit", population.users),
        await read("/orders/find", "paid", [order.id for order in population.orders]))


async def run(shop: ShopClient, scale: Scale, log_path: Path | None) -> Verdict:
    population = await populate(shop, scale)
    started, before = time.monotonic(), shop.repetitions
    log = await told_at_once(shop, population)
    seconds = time.monotonic() - started
    if log_path:
        with open(log_path, "a") as file:
            file.writelines(f"{told}\n" for told in log)
    verdict = compare(population, log, await found(shop, population))
    words = [told.word for told in log]
    print(
        f"{words.count('PAID')} of {len(log)} checkouts paid, {words.count('REFUSED')} refused, in {seconds:.2f} s; "
        f"{shop.repetitions - before} times nobody said what became of one")
    print(f"inconsistencies: stock {verdict.stock}, payment {verdict.payment}, orders {verdict.orders}", flush=True)
    for sentence in verdict.sentences[:_MOST_SENTENCES]:
        print(f"    {sentence}")
    if len(verdict.sentences) > _MOST_SENTENCES:
        print(f"    ... and {len(verdict.sentences) - _MOST_SENTENCES} more")
    return verdict


async def main() -> int:
    options = arguments()
    items, stock = (1, options.items) if options.one_item else (options.items, 1)
    scale = Scale(items, stock, options.users, options.checkouts)
    try:
        async with ShopClient(options.url) as shop:
            verdicts = [await run(shop, scale, options.log) for _ in range(options.runs)]
    except (ShopFailure, aiohttp.ClientError, asyncio.TimeoutError) as failure:
        print(f"The shop at {options.url} could not be asked: {failure or 'no answer'}", file=sys.stderr)
        return 2
    inconsistent = sum(not verdict.is_clean for verdict in verdicts)
    print(f"{options.runs} runs, {inconsistent} of them with inconsistencies")
    return 1 if inconsistent else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
