"""Half of the peak for ten minutes, every order a new one: memory, journal and p99 must stay as they were.

    python3 -m Tests.Processes.load.soak                   # 10 minutes, server and generator on a processor each
    python3 -m Tests.Processes.load.soak --seconds 120     # shorter

Orders are created, get an item and are checked out (`kontor bench journey`), so the shop grows all the time, as a real one
does. Rounds of `batch_init` would write the same ids again and again, and a cache without a bound would never show. The table
grows by design (orders are kept): its size is shown and not judged. The cache is made small, so that it is full early on.
"""

import argparse
import asyncio
import statistics
import time
from typing import NamedTuple

from Tests.kontor_testing.bench import line, p99_by_window, statuses
from Tests.kontor_testing.proc import resident_bytes
from Tests.kontor_testing.running.server import Server
from Tests.Processes.load.experiment import MIB, Finding, journal_bytes, load, run_experiment, table_bytes

_SAMPLE_SECONDS = 10
_CACHE_RECORDS = 200_000
# Memory may differ by what the fold holds at the moment, the journal by a segment and what one fold begins at.
_MEMORY_ALLOWANCE = 48 * MIB
_JOURNAL_ALLOWANCE = 128 * MIB
_LATENCY_ALLOWANCE_MILLISECONDS = 2


class Sample(NamedTuple):
    """The server at one moment."""

    seconds: float
    memory: int
    journal: int
    table: int


async def _sample(server: Server, samples: list):
    started = time.monotonic()
    while True:
        samples.append(Sample(
            time.monotonic() - started, resident_bytes(server.pid), journal_bytes(server), table_bytes(server)))
        now = samples[-1]
        print(f"{now.seconds:5.0f} s  memory {now.memory / MIB:5.0f} MiB  journal {now.journal / MIB:5.0f} MiB  "
              f"table {now.table / MIB:6.0f} MiB", flush=True)
        await asyncio.sleep(_SAMPLE_SECONDS)


def judge(samples: list, p99: list) -> list:
    """Compares the second and the last quarter: the first one is warm-up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [statistics.median(sample.memory for sample in part) for part in (early, late)]
    journal = [max(sample.journal for sample in part) for part in (early, late)]
    part = len(p99) // 4
    latency = [statistics.median(p99[part : 2 * part]), statistics.median(p99[-part:])]
    return [
        Finding("memory is flat", memory[1] <= 1.05 * memory[0] + _MEMORY_ALLOWANCE,
                f"{memory[0] / MIB:.0f}, at the end {memory[1] / MIB:.0f} MiB"),
        Finding("the journal is flat", journal[1] <= 1.1 * journal[0] + _JOURNAL_ALLOWANCE,
                f"at most {journal[0] / MIB:.0f}, at the end {journal[1] / MIB:.0f} MiB"),
        Finding("p99 is flat", latency[1] <= 1.5 * latency[0] + _LATENCY_ALLOWANCE_MILLISECONDS,
                f"{latency[0]:.2f}, at the end {latency[1]:.2f} ms"),
    ]


async def soak(server: Server, seconds: float, is_pinned: bool) -> list:
    """The findings of one soak of a server that runs; all must be good."""
    report = await load(server, "journey", "--connections", 64, "--duration", 10, is_pinned=is_pinned)
    peak = line(report, 200)["perSecond"]
    print(f"the peak is {peak:.0f} requests/s; half of it for {seconds:.0f} s", flush=True)
    samples = []
    sampling = asyncio.create_task(_sample(server, samples))
    try:
        report = await load(
            server, "journey", "--rate", peak / 2, "--duration", seconds, "--no-initialize", is_pinned=is_pinned,
            seconds=seconds + 300)
    finally:
        sampling.cancel()
    # What was sampled during the audit at the end is another load.
    samples = [sample for sample in samples if sample.seconds <= seconds]
    return [
        Finding("everything was done", statuses(report) == {200} and not report["unanswered"] and not report["unsent"],
                f"statuses {sorted(statuses(report))}, {report['unanswered']} unanswered, {report['unsent']} not sent"),
        Finding("the books balance", report["booksBalance"] is True, str(report["booksBalance"])),
        *judge(samples, p99_by_window(report, _SAMPLE_SECONDS)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", action="store_true", help="server and generator on the same processors")
    parser.add_argument("--seconds", type=float, default=600, help="how long, at least 90")
    arguments = parser.parse_args()
    length, is_pinned = max(90, arguments.seconds), not arguments.shared
    run_experiment(
        lambda server: soak(server, length, is_pinned), is_pinned, ("--cache-records", _CACHE_RECORDS), good="All is flat.",
        bad="NOT all is flat.")
