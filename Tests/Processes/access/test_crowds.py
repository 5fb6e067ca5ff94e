"""P7: strangers of one address who only take up room do not make the others wait."""

import asyncio
import json
import os
import statistics
import sys
import time

from Tests.kontor_testing.bench import bench, line, statuses
from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import cpu_seconds, socket_bytes
from Tests.kontor_testing.programs import REPOSITORY

_LONG = os.environ.get("KONTOR_CROWD_SECONDS")
# Of each look at the others' latency.
_SECONDS = float(_LONG or 2.5)
_COUNTS = {"idle": 10_000, "heads": 3_000, "bodies": 3_000, "deaf": 2_000}
# At length all crowds, and all again to a shop that limits the connections of an address.
_CROWDS = list(_COUNTS) if _LONG else ["idle", "deaf"]
_OPTIONS = [(), ("--caller-connections", 100)] if _LONG else [()]
# Requests a second of the others: half of them reads, half checkouts.
_RATE = 500
_ORDERS = 100_000
# A slice of the scheduler's: shop, generators and the crowd's process share what processors there are.
_SLICE_MILLISECONDS = 3.0
# A crowd's beginning or end.
_PATIENCE_SECONDS = 60
# Some tenths of a second are enough to accept 10,000 connections, or to answer 2,000 requests for a large page.
_ARRIVAL_SECONDS = 3
# Measured: 54 MiB for 2,000 who do not read, of whom each has a large page half sent.
_SOCKETS_MIB = 300
_MIB = 1 << 20


class Crowd:
    """A process with clients of one address."""

    def __init__(self, kind: str, port: int):
        self.kind = kind
        self._port = port
        self._process = None

    async def __aenter__(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "Tests.Processes.access.crowd", self.kind, str(_COUNTS[self.kind]), str(self._port),
            cwd=REPOSITORY, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        said = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE_SECONDS)
        assert said == b"here\n", said
        return self

    async def __aexit__(self, *_):
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def leave(self) -> dict:
        """Ends it; what became of its clients."""
        said, _ = await asyncio.wait_for(self._process.communicate(b""), _PATIENCE_SECONDS)
        return json.loads(said)


class Look:
    """The others' latencies for a while, in milliseconds, and what the server used of the processors."""

    def __init__(self, reports: dict, cpu: float):
        self.reports = reports
        self.cpu = cpu

    def latency(self, what: str, name: str) -> float:
        return line(self.reports[what], 200)["latency"][name]

    def p99(self, what: str) -> float:
        """The median of the seconds' 99th percentiles: one stop of the machine for 20 ms is a hundredth of two seconds."""
        return statistics.median(second["p99"] for second in self.reports[what]["seconds"])

    def __str__(self):
        return "; ".join(
            f"{what} p50 {self.latency(what, 'p50'):.2f}, p99 {self.p99(what):.2f} (of all {self.latency(what, 'p99'):.2f}), "
            f"max {self.latency(what, 'max'):.1f} ms" for what in self.reports) + f"; server {self.cpu:.0%} of a processor"


class CrowdTests(ServerCase):
    async def test_crowds_of_one_address_do_not_double_the_latency_of_others(self):
        for options in _OPTIONS:
            with self.subTest(options=options):
                await self.try_crowds(*options)

    async def try_crowds(self, *options):
        server = self.new_server()
        server.extra = list(options)
        await server.start()
        words = ("--items", 1_000, "--users", 10_000, "--orders", _ORDERS, "--no-audit")
        prepared = await bench(
            "checkout", server.port, *words, "--rate", _RATE, "--warm-up", 0.1, "--duration", 1, "--connections", 8)
        self._first = prepared["firstUnused"]
        quiet, crowded = [await self.look(server)], {}
        self.report(f"quiet: {quiet[-1]}")
        for kind in _CROWDS:
            async with Crowd(kind, server.port) as crowd:
                arrival, memory = await self.arrival(server), socket_bytes()
                crowded[kind] = await self.look_in_a_crowd(server, quiet)
                became = await crowd.leave()
            self.report(
                f"{kind}: {crowded[kind]}; {arrival:.1f} s and {memory / _MIB:.0f} MiB of sockets to take it in; {became}")
            self.assertLess(arrival, _ARRIVAL_SECONDS)
            self.assertLess(memory, _SOCKETS_MIB * _MIB)
            await eventually(lambda: self.is_alone(server), "the end of a crowd's connections")
            quiet.append(await self.look(server))
            self.report(f"quiet: {quiet[-1]}")
        await self.assert_clean_audit(server)
        self.assert_unharmed(quiet, crowded)

    async def arrival(self, server) -> float:
        """How long the shop still has to do with what a crowd said when it came. From then on that only takes up room."""
        began = time.monotonic()
        self.assertEqual((await get_once(server.port, "/health/ready")).status, 200)
        return time.monotonic() - began

    def assert_unharmed(self, quiet: list, crowded: dict):
        """The other callers' 99th percentile at most doubles, and each of their requests is done."""
        failures = []
        for kind, look in crowded.items():
            for what in look.reports:
                alone = [one.p99(what) for one in quiet]
                # The quiet looks, between which the crowds came, differ by what the machine does besides.
                floor = max(alone) - min(alone) + _SLICE_MILLISECONDS
                if look.p99(what) > 2 * statistics.median(alone) + floor:
                    failures.append(
                        f"{kind}: p99 of {what} {look.p99(what):.2f} ms, alone {statistics.median(alone):.2f} ms "
                        f"(and a floor of {floor:.2f} ms)")
        for look in [*quiet, *crowded.values()]:
            for what, report in look.reports.items():
                if statuses(report) != {200} or report["unanswered"] or report["unsent"]:
                    failures.append(f"{what}: {statuses(report)}, {report['unanswered']} unanswered, {report['unsent']} unsent")
        self.assertEqual(failures, [])

    async def look(self, server) -> Look:
        words = (
            "--no-initialize", "--no-audit", "--rate", _RATE / 2, "--warm-up", 0.3, "--duration", _SECONDS,
            "--connections", 8, "--max-connections", 40)
        before = cpu_seconds(server.pid)
        reads, checkouts = await asyncio.gather(
            bench("find", server.port, *words, "--items", 1_000),
            bench("checkout", server.port, *words, "--orders", _ORDERS, "--first", self._first))
        self._first = checkouts["firstUnused"]
        return Look({"reads": reads, "checkouts": checkouts}, (cpu_seconds(server.pid) - before) / (_SECONDS + 0.3))

    async def look_in_a_crowd(self, server, quiet: list) -> Look:
        """The best of up to three looks: what else the machine does only adds to them, and what the crowd does is in each."""
        looks = []
        for _ in range(3):
            looks.append(await self.look(server))
            if all(looks[-1].p99(what) <= 2 * statistics.median(one.p99(what) for one in quiet) for what in looks[-1].reports):
                break
        return min(looks, key=lambda look: max(look.p99(what) for what in look.reports))

    async def is_alone(self, server) -> bool:
        metrics = (await get_once(server.internal_port, "/metrics")).body.decode()
        return all(float(row.split()[-1]) < 50 for row in metrics.splitlines() if row.startswith("kontor_http_connections{"))
