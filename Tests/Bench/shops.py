"""Kontor under load: in one process, and as three services over Redis behind the gateway."""

import functools
from pathlib import Path

from Tests.Bench.runs import best, figure, kontor_bench
from Tests.kontor_testing.proc import cpu_seconds
from Tests.kontor_testing.running.server import Server
from Tests.kontor_testing.running.services import Deployment

_USERS = 100_000
_SERVICE_USERS = 10_000


async def embedded(directory: Path, seconds: float, show) -> list:
    """Each load on a new directory, but for the one at half of the peak: that comes from the peak's orders."""
    server = await _started(directory, "checkout")
    try:
        runs, first = [], 0
        for connections in (64, 256):
            report, meter = await _bench(
                server, "checkout", seconds, "--orders", 900_000, "--users", _USERS, "--first", first, "--connections", connections,
                *(("--no-initialize",) if runs else ()))
            runs.append(show(figure("embedded", f"{connections} connections", report, meter)))
            first = report["firstUnused"]
        peak = best(runs)
        half = int(peak.per_second / 2)
        report, meter = await _bench(
            server, "checkout", seconds, "--orders", 900_000, "--users", _USERS, "--first", first, "--no-initialize", "--rate", half)
        figures = [peak, show(figure("embedded-half", f"{half:,}/s, open loop", report, meter))]
    finally:
        server.stop()
    for key, scenario, connections, options in (
        ("embedded-hot", "checkout-hot", 256, ("--orders", 600_000, "--users", _USERS)),
        ("embedded-find", "find", 64, ("--users", 1_000)),
        ("embedded-mix", "mix", 64, ()),
    ):
        server = await _started(directory, scenario)
        try:
            report, meter = await _bench(server, scenario, seconds, "--connections", connections, *options)
            figures.append(show(figure(key, f"{connections} connections", report, meter)))
        finally:
            server.stop()
    return figures


async def _started(directory: Path, name: str) -> Server:
    server = Server(directory / name, directory / f"{name}.log")
    await server.start()
    return server


async def _bench(server: Server, scenario: str, seconds: float, *options) -> tuple:
    return await kontor_bench(
        scenario, server.port, "--internal-port", server.internal_port, "--warm-up", 1, "--duration", seconds, *options,
        users={"kontor": lambda: cpu_seconds(server.pid)})


async def services(directory: Path, seconds: float, show) -> list:
    """Through the gateway alone; the audit reads the three stores."""
    shop = Deployment(directory / "services")
    users = {}

    async def bench(*options):
        return await kontor_bench(
            "checkout", shop.port, *shop.store_arguments, "--warm-up", 1, "--duration", seconds, "--orders", 250_000,
            "--users", _SERVICE_USERS, *options, users=users)

    try:
        await shop.start()
        for process in shop.processes:
            # Looked up once: nginx' worker is among them.
            users[process.name] = functools.partial(cpu_seconds, *process.group())
        runs, first = [], 0
        for connections in (256, 1_024):
            before = _script_calls(shop)
            report, meter = await bench(
                "--first", first, "--connections", connections, *(("--no-initialize",) if runs else ()))
            calls = _script_calls(shop) - before
            found = figure("services", f"{connections:,} connections", report, meter)
            if runs:
                sent = max(1, report["firstUnused"] - first)
                found = found._replace(remark="; ".join(filter(None, (
                    found.remark, f"{calls / sent:.2f} calls of Redis' commit script a checkout"))))
            runs.append(show(found))
            first = report["firstUnused"]
        half = int(best(runs).per_second / 2)
        report, meter = await bench("--first", first, "--no-initialize", "--rate", half, "--connections", 256)
        return [best(runs), show(figure("services-half", f"{half:,}/s, open loop", report, meter))]
    except BaseException:
        show(shop.log())
        raise
    finally:
        shop.stop()


def _script_calls(shop: Deployment) -> int:
    """How often the stores ran the script so far."""
    calls = 0
    for server in shop.redis_servers:
        for line in server.ask("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_evalsha:"):
                calls += int(line.split("calls=")[1].split(",")[0])
    return calls
