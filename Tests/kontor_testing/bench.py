"""Runs `kontor bench` against a server, and measures the server meanwhile; what `overload.py` and `soak.py` share."""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from server import BINARY, REPOSITORY, Server

# The generator gets a processor of its own, so that it does not eat what it measures.
SERVER_PROCESSOR = ("taskset", "-c", "0")
GENERATOR_PROCESSOR = ("taskset", "-c", "1")


class Finding(NamedTuple):
    """One thing that was compared with its bound."""

    what: str
    is_good: bool
    measured: str

    def __str__(self):
        return f"{'ok    ' if self.is_good else 'FAILED'}  {self.what}: {self.measured}"


async def bench(server: Server, scenario: str, *options, is_pinned: bool, patience_seconds: float = 120) -> dict:
    """One run of the generator to its end; its report. A run whose books do not balance raises."""
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as directory:
        path = Path(directory) / "report.json"
        prefix, spin = (GENERATOR_PROCESSOR, ("--spin",)) if is_pinned else ((), ())
        process = await asyncio.create_subprocess_exec(
            *prefix, BINARY, "bench", scenario, "--port", str(server.port), "--internal-port", str(server.internal_port),
            "--json", str(path), *spin, *map(str, options), cwd=REPOSITORY, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), patience_seconds)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise AssertionError(f"kontor bench {scenario} ended with {process.returncode}:\n{output.decode()[-2000:]}")
        return json.loads(path.read_text())


def line(report: dict, status: int) -> dict:
    """What a report says about one status."""
    for found in report["lines"]:
        if found["status"] == status:
            return found
    return {"status": status, "count": 0, "perSecond": 0.0, "latency": dict.fromkeys(("p50", "p99", "p999", "max"), 0.0)}


def statuses(report: dict) -> set:
    return {found["status"] for found in report["lines"]}


def p99_by_window(report: dict, seconds: int) -> list:
    """For each window of so many seconds the median of its seconds' p99."""
    series = [second["p99"] for second in report["seconds"] if second["succeeded"]]
    windows = [series[start : start + seconds] for start in range(0, len(series), seconds)]
    return [statistics.median(window) for window in windows if len(window) == seconds]


def resident_bytes(server: Server) -> int:
    """The process's memory, without what it only maps from files."""
    for text in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if text.startswith("RssAnon:"):
            return int(text.split()[1]) * 1024
    raise AssertionError("the process has no RssAnon")


def journal_bytes(server: Server) -> int:
    return _bytes(server.directory / "journal")


def table_bytes(server: Server) -> int:
    return sum(path.stat().st_size for path in server.directory.glob("table*"))


def _bytes(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


