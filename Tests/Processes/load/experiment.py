"""What `overload.py` and `soak.py` share: a server of their own, the load generator beside it, and findings at the end."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from Tests.kontor_testing.bench import bench
from Tests.kontor_testing.running.server import Server

MIB = 1 << 20
# The generator gets a processor of its own, so that it does not eat what it measures.
_SERVER_PROCESSOR = ("taskset", "-c", "0")
_GENERATOR_PROCESSOR = ("taskset", "-c", "1")


class Finding(NamedTuple):
    """One thing that was compared with its bound."""

    what: str
    is_good: bool
    measured: str

    def __str__(self):
        return f"{'ok    ' if self.is_good else 'FAILED'}  {self.what}: {self.measured}"


async def load(server: Server, scenario: str, *options, is_pinned: bool, seconds: float = 120) -> dict:
    """The report of one run of the generator against the server."""
    prefix, spin = (_GENERATOR_PROCESSOR, ("--spin",)) if is_pinned else ((), ())
    return await bench(
        scenario, server.port, "--internal-port", server.internal_port, *spin, *options, prefix=prefix, seconds=seconds)


def journal_bytes(server: Server) -> int:
    return _bytes((server.directory / "journal").iterdir())


def table_bytes(server: Server) -> int:
    return _bytes(server.directory.glob("table*"))


def _bytes(paths) -> int:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


def run_experiment(experiment, is_pinned: bool, options=(), good: str = "", bad: str = ""):
    """Ends the program after `experiment`, a coroutine function that is given a new server and returns findings; all must be good.

    `options` are those of `kontor serve`; `good` and `bad` are the last word.
    """
    async def run() -> list:
        with tempfile.TemporaryDirectory(prefix="kontor-experiment-") as scratch:
            server = Server(Path(scratch) / "data", Path(scratch) / "log")
            try:
                server.spawn(_SERVER_PROCESSOR if is_pinned else (), options)
                await server.wait_until_ready()
                return await experiment(server)
            finally:
                server.stop()

    findings = asyncio.run(run())
    is_good = all(finding.is_good for finding in findings)
    print(*findings, good if is_good else bad, sep="\n")
    sys.exit(0 if is_good else 1)
