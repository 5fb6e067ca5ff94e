"""Counts the instructions of the hot paths, which differ by next to nothing from run to run, and compares them with what they were.

    python3 guard.py [--binary .build/release/kontor-guard] [--update]

Fails if a path needs more than `allowed` above its figure in thresholds.json. callgrind counts: counters of the processor are not
there on most virtual machines. What is compared is the difference between many requests and few, so that neither the program's start
nor the filling of the shop counts.
"""

import argparse
import concurrent.futures
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_THRESHOLDS = _HERE / "thresholds.json"
_FEW, _MANY = 800, 3_200
_LONGEST_SECONDS = 150


def instructions(binary: Path, path: str, count: int) -> int:
    """All that the program executes, its start included."""
    # Swift's hash tables are seeded by chance otherwise.
    environment = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"}
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(binary), path, str(count)], env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_LONGEST_SECONDS, text=True)
    found = re.search(r"Collected : (\d+)", run.stdout)
    if run.returncode != 0 or not found:
        raise SystemExit(f"kontor-guard {path} {count} under callgrind ended with {run.returncode}:\n{run.stdout[-2000:]}")
    return int(found[1])


def measure(binary: Path, paths) -> dict:
    """Instructions a request, by path."""
    with tempfile.TemporaryDirectory(prefix="kontor-guard-") as directory, concurrent.futures.ThreadPoolExecutor(2) as pool:
        # valgrind 3.19 cannot read the debug information of Swift's libraries, and ends.
        bare = Path(directory) / "kontor-guard"
        subprocess.run(["strip", "--strip-debug", "-o", str(bare), str(binary)], check=True)
        totals = {
            (path, count): pool.submit(instructions, bare, path, count) for path in paths for count in (_FEW, _MANY)}
        return {path: (totals[path, _MANY].result() - totals[path, _FEW].result()) / (_MANY - _FEW) for path in paths}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=_HERE.parents[1] / ".build/release/kontor-guard")
    parser.add_argument("--update", action="store_true", help="write what was counted to thresholds.json: say there why it rose")
    arguments = parser.parse_args()
    thresholds = json.loads(_THRESHOLDS.read_text())
    if platform.machine() != thresholds["machine"]:
        print(f"The figures are of {thresholds['machine']}, this is {platform.machine()}: nothing was compared.")
        return 0
    counted = measure(arguments.binary, thresholds["paths"])
    failed = []
    print(f"{'path':<10}{'instructions':>14}{'was':>10}{'change':>9}")
    for path, threshold in thresholds["paths"].items():
        before, now = threshold["instructions"], counted[path]
        change = now / before - 1 if before else 0
        verdict = ""
        if change > thresholds["allowed"]:
            verdict = f"  MORE than {thresholds['allowed']:.0%} above"
            failed.append(path)
        elif change < -thresholds["allowed"]:
            verdict = "  less: --update keeps it that way"
        print(f"{path:<10}{now:>14,.0f}{before:>10,}{change:>+9.1%}{verdict}")
        threshold["instructions"] = round(now)
    if arguments.update:
        _THRESHOLDS.write_text(json.dumps(thresholds, indent=2) + "\n")
        return 0
    if failed:
        print(f"Slower: {', '.join(failed)}. If that is what it must cost, say why in {_THRESHOLDS.name}, and use --update.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
