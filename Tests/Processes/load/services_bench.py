"""How many checkouts per second three services over Redis do behind the gateway, and where the processor time goes.

Unique, unpaid orders of two of 1,000 items each, made by batch_init; wrk with 64 and then 256 connections, 10 s each; the audit
afterwards. Not a test: it prints.

    python3 -m Tests.Processes.load.services_bench [--cluster] [--replicas 1] [--seconds 10] [--workers 1] [--direct]
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from Tests.kontor_testing.running.services import SERVICES, Deployment

_ITEMS, _USERS = 1_000, 10_000
_LONGEST_SECONDS = 240


async def prepare(shop: Deployment, orders: int):
    client = shop.client(connections=1)
    for path in (
        f"/stock/batch_init/{_ITEMS}/100000000/1", f"/payment/batch_init/{_USERS}/1000000000",
        f"/orders/batch_init/{orders}/{_ITEMS}/{_USERS}/1",
    ):
        started = time.monotonic()
        answer = await client.post(path)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer}")
        print(f"{path}: {time.monotonic() - started:.2f} s")


async def measure(shop: Deployment, port: int, first: int, connections: int, seconds: int, resources: dict) -> dict:
    """One run of wrk; what each process used meanwhile goes into `resources`."""
    before = {process.name: process.cpu_seconds() for process in shop.processes}
    before_wrk = sum(os.times()[2:4])
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s",
        str(Path(__file__).with_suffix(".lua")), f"http://127.0.0.1:{port}", env={**os.environ, "FIRST": str(first)},
        stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    for other in shop.processes:
        resources[other.name] = other.cpu_seconds() - before[other.name]
    resources["wrk"] = sum(os.times()[2:4]) - before_wrk
    return json.loads(output.decode().splitlines()[-1])


def show(connections: int, found: dict, resources: dict):
    done = found["requests"] - found["refused"]
    print(
        f"{connections} connections: {done / found['seconds']:,.0f} checkouts/s; ms: p50 {found['p50']:.2f}, p90 {found['p90']:.2f}, "
        f"p99 {found['p99']:.2f}, p99.9 {found['p999']:.2f}, max {found['max']:.1f}; "
        f"{found['refused']} not 200, {found['unanswered']} unanswered")
    if done:
        print("    microseconds of processor time per checkout: " + ", ".join(
            f"{name} {1e6 * seconds / done:.1f}" for name, seconds in sorted(resources.items(), key=lambda pair: -pair[1])
            if seconds / found["seconds"] > 0.002) + f"; in all {1e6 * sum(resources.values()) / done:.1f}")


async def main(options, directory: Path) -> int:
    shop = Deployment(directory / "shop", options.replicas, clusters=SERVICES if options.cluster else ())
    shop.gateway.workers = options.workers
    try:
        await shop.start()
        await prepare(shop, options.orders)
        first, port = 0, shop.replicas["order"][0].port if options.direct else shop.port
        for connections in options.connections:
            resources = {}
            found = await measure(shop, port, first, connections, options.seconds, resources)
            show(connections, found, resources)
            # Those on their way at the end were sent, too.
            first += found["requests"] + connections
            if first >= options.orders:
                print(f"    there were only {options.orders} orders: give --orders")
                break
        is_clean, output = await shop.clean_audit()
        print(output.strip())
        return 0 if is_clean else 1
    except BaseException:
        print(shop.log(), file=sys.stderr)
        raise
    finally:
        shop.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true", help="a Redis Cluster of 3 masters with a replica each for each service")
    parser.add_argument("--replicas", type=int, default=1, help="of each service")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--orders", type=int, default=300_000)
    parser.add_argument("--workers", default="1", help="of nginx: a number or auto")
    parser.add_argument("--direct", action="store_true", help="to the first order service, without the gateway")
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as scratch:
        sys.exit(asyncio.run(asyncio.wait_for(main(parser.parse_args(), Path(scratch)), _LONGEST_SECONDS)))
