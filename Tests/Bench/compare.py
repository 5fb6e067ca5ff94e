"""Kontor beside what else one could take, on one machine in one run, as ratios.

    python3 -m Tests.Bench.compare --to DIRECTORY            # everything, about 5 minutes; a table, and pictures and text in DIRECTORY
    python3 -m Tests.Bench.compare --to DIRECTORY --only postgres nginx --seconds 2
    python3 -m Tests.Bench.compare --to DIRECTORY --docs     # no runs: what DIRECTORY has goes into docs/performance.md and docs/bench

Timings of one machine say little about another one, and little about the same one an hour later. Ratios of one run do. A contender
whose books do not balance fails all of it.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from Tests.Bench import page
from Tests.Bench.others import constant, script
from Tests.Bench.postgres import postgres
from Tests.Bench.runs import Figure, Meter
from Tests.Bench.shops import embedded, services
from Tests.kontor_testing.programs import REPOSITORY

_LONGEST_SECONDS = 480
# Up to here a machine is at rest.
_QUIET = 0.05
CONTENDERS = {
    "embedded": embedded, "services": services, "nginx": constant,
    "postgres": lambda directory, seconds, show: postgres(seconds, show), "script": script,
}


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / (1 << 20)
    system = subprocess.run(
        ["df", "--output=fstype", tempfile.gettempdir()], capture_output=True, text=True, check=False).stdout.split()[-1]
    name = model[1] if model else "an unknown processor"
    return f"a machine with {os.cpu_count()} processors ({name}), {memory:.0f} GiB, data on {system}"


def versions() -> str:
    texts = []
    for words, pattern in (
        (["redis-server", "--version"], r"v=([\d.]+)"), (["nginx", "-v"], r"nginx/([\d.]+)"), (["psql", "--version"], r"([\d.]+)"),
    ):
        try:
            run = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        found = re.search(pattern, run.stdout + run.stderr)
        names = {"redis-server": "Redis", "nginx": "nginx", "psql": "PostgreSQL"}
        texts.append(f"{names[words[0]]} {found[1]}" if found else words[0])
    return ", ".join(texts)


def others_busy(seconds: float = 2) -> float:
    """Share of the processors that is at work before anything of ours is."""
    meter = Meter()
    meter.look()
    time.sleep(seconds)
    meter.look()
    return meter.busy


def show(found):
    """A figure, or a word, as soon as it is known."""
    if isinstance(found, Figure):
        latency = "" if found.p99 is None else f", p50 {found.p50:.2f} ms, p99 {found.p99:.2f} ms"
        print(f"  {found.key}, {found.load}: {found.per_second:,.0f}/s{latency} {found.remark}".rstrip(), flush=True)
    else:
        print(found, flush=True)
    return found


async def measure(names: list, seconds: float, directory: Path) -> dict:
    figures, started = {}, time.monotonic()
    for name in names:
        show(f"{name}:")
        contender_started = time.monotonic()
        left = _LONGEST_SECONDS - (contender_started - started)
        for figure in await asyncio.wait_for(CONTENDERS[name](directory, seconds, show), left):
            figures[figure.key] = figure
        show(f"  {time.monotonic() - contender_started:.0f} s")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="where the results go")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="a part of it")
    parser.add_argument("--seconds", type=float, default=8, help="how long each load lasts")
    parser.add_argument("--docs", action="store_true", help="put what was measured into the documentation")
    arguments = parser.parse_args()
    results = arguments.to / "results.json"
    if arguments.docs:
        kept = json.loads(results.read_text())
        figures = {key: Figure(**fields) for key, fields in kept["figures"].items()}
        pictures = REPOSITORY / "docs" / "bench"
        pictures.mkdir(exist_ok=True)
        page.draw(figures, pictures)
        page.put_into(REPOSITORY / "docs" / "performance.md", page.section(figures, kept["facts"], "bench"))
        print("docs/performance.md and docs/bench are written: look at them, and commit them.")
        return 0
    busy = others_busy()
    if busy > _QUIET:
        show(f"The machine is NOT quiet: {busy:.0%} of its processors are busy with other work. Ratios will be off, figures too low.")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kontor-compare-") as scratch:
        figures = asyncio.run(measure(arguments.only, arguments.seconds, Path(scratch)))
    facts = {
        "date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions(), "seconds": arguments.seconds,
        "minutes": (time.monotonic() - started) / 60, "busy": busy,
    }
    arguments.to.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(
        {"facts": facts, "figures": {key: figure._asdict() for key, figure in figures.items()}}, indent=2) + "\n")
    page.draw(figures, arguments.to)
    (arguments.to / "comparison.md").write_text(page.section(figures, facts, "."))
    print("\n" + page.table(figures))
    print(f"\nPictures and text: {arguments.to}. `make bench-docs` puts them into docs/performance.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
