"""What was measured, and `kontor bench` run once with the processors watched."""

import contextlib
import time
from pathlib import Path
from typing import NamedTuple, Optional

from Tests.kontor_testing.bench import bench
from Tests.kontor_testing.bench import line as line_of
from Tests.kontor_testing.proc import cpu_seconds


class Figure(NamedTuple):
    """One contender under one load. Latencies are milliseconds."""

    # Which of the comparison's rows it is.
    key: str
    # Done a second; what was asked for and not done is not among them.
    per_second: float
    p50: Optional[float] = None
    p99: Optional[float] = None
    # How the load came: connections, or requests a second.
    load: str = ""
    # Share of the processors that was at work, 0 to 1; None if nobody looked.
    busy: Optional[float] = None
    # Microseconds of processor time for each that was done, by who used it.
    processor: dict = {}
    # For the reader, about this run.
    remark: str = ""


class Meter:
    """Looks at the processors at two moments."""

    def __init__(self, users=None):
        """`users` maps names to functions that return processor seconds."""
        self._users = users or {}
        self._looks = []

    def look(self):
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        # idle and iowait
        used = {name: user() for name, user in self._users.items()}
        self._looks.append((fields[3] + fields[4], sum(fields), used, time.monotonic()))

    @property
    def busy(self):
        if len(self._looks) < 2:
            return None
        first, last = self._looks[0], self._looks[-1]
        return 1 - (last[0] - first[0]) / max(1, last[1] - first[1])

    def microseconds(self, per_second: float) -> dict:
        """Of each user, for each that was done at this rate."""
        if len(self._looks) < 2 or not per_second:
            return {}
        first, last = self._looks[0], self._looks[-1]
        done = per_second * (last[3] - first[3])
        return {name: 1e6 * (last[2][name] - first[2][name]) / done for name in self._users}


async def kontor_bench(scenario: str, port: int, *options, users=None) -> tuple:
    """The report of one run of the generator, and the meter of its measured seconds. A run without a result raises."""
    generator = None
    meter = Meter({**(users or {}), "generator": lambda: cpu_seconds(generator)})

    def watch(pid: int, text: str):
        nonlocal generator
        generator = pid
        # From the end of the first second on: what is made before, and the audit after it, are other work.
        if text.startswith("second "):
            with contextlib.suppress(FileNotFoundError):
                meter.look()

    return await bench(scenario, port, *options, watch=watch), meter


def figure(key: str, load: str, report: dict, meter: Meter) -> Figure:
    if report["ranOut"]:
        raise AssertionError(f"{key}, {load}: there were too few orders")
    line = line_of(report, 200)
    if not line["count"]:
        raise AssertionError(f"{key}, {load}: nothing succeeded: {report['lines']}")
    others = [
        f"{other['count']} answered with {other['status']}" for other in report["lines"] if other["status"] != 200]
    if report["unanswered"] or report["unsent"]:
        others.append(f"{report['unanswered']} unanswered, {report['unsent']} not sent")
    return Figure(
        key, line["perSecond"], line["latency"]["p50"], line["latency"]["p99"], load, meter.busy,
        meter.microseconds(line["perSecond"]), "; ".join(others))


def best(figures: list) -> Figure:
    return max(figures, key=lambda figure: figure.per_second)
