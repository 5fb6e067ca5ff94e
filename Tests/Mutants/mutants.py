"""Puts bugs into a copy of the sources, one at a time, and sees whether the simulator catches each.

A simulator that finds nothing proves something only if it would have found something. Exits with 1 if a bug was not caught
within its seeds, did not compile, or if what it replaces does not stand in the sources exactly once.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from bugs import BUGS, Bug

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["KontorCore", "KontorService", "KontorEmbedded", "KontorSimulation"]
BUILD = ["swift", "build", "-c", "release", "--static-swift-stdlib", "-Xswiftc", "-enforce-exclusivity=unchecked",
         "--product", "kontor"]
# What two quiet processors simulate in about two minutes. Seeds and not seconds: what is caught does not depend on the machine.
SEEDS = 3_000
# A bug may make a world endless.
SECONDS = 1_800


class Failed(Exception):
    """What to tell about a bug that was not caught."""


def copy_sources(scratch: pathlib.Path) -> None:
    """What the simulator is made of, and no more; what was built there before stays, to be built upon."""
    scratch.mkdir(parents=True, exist_ok=True)
    package = ROOT / "Tests/Mutants/package"
    files = {path: scratch / path.relative_to(ROOT) for name in TARGETS for path in (ROOT / "Sources" / name).rglob("*.swift")}
    files[package / "Package.swift"] = scratch / "Package.swift"
    files[package / "main.swift"] = scratch / "Sources/kontor/main.swift"
    files[ROOT / "Sources/kontor/Commands/Simulate.swift"] = scratch / "Sources/kontor/Simulate.swift"
    for old in set((scratch / "Sources").rglob("*.swift")) - set(files.values()):
        old.unlink()
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        # What has not changed keeps its date, and need not be compiled again.
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
    # The versions that the package is built with.
    if (ROOT / "Package.resolved").exists() and not (scratch / "Package.resolved").exists():
        shutil.copyfile(ROOT / "Package.resolved", scratch / "Package.resolved")


def build(scratch: pathlib.Path) -> pathlib.Path:
    done = subprocess.run(BUILD, cwd=scratch, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line]
        raise Failed("does not compile: " + "; ".join(lines[:3]))
    return scratch / ".build/release/kontor"


def simulate(binary: pathlib.Path, *arguments: str) -> tuple[int, str, float]:
    start = time.monotonic()
    try:
        done = subprocess.run([binary, "simulate", *arguments], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"the simulator did not end within {SECONDS} s")
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


def built(scratch: pathlib.Path, bug: Bug) -> pathlib.Path:
    """A binary with the bug. The sources are left as they were."""
    path = scratch / bug.file
    text = path.read_text()
    if text.count(bug.old) != 1:
        raise Failed(f"what it replaces stands {text.count(bug.old)} times in {bug.file}")
    try:
        path.write_text(text.replace(bug.old, bug.new))
        return pathlib.Path(shutil.copy2(build(scratch), scratch / f"mutant-{BUGS.index(bug)}"))
    finally:
        path.write_text(text)


def searched(binary: pathlib.Path, sound: pathlib.Path, seeds: int) -> str:
    """How the simulator catches the binary's bug. The sound binary must pass the seed that does."""
    code, output, seconds = simulate(binary, "--first", "1", "--seeds", str(seeds), "--failures", "1")
    seed = re.search(r"^Seed (\d+) BROKE.*\n  (.*)$", output, re.MULTILINE)
    if code == 1 and seed:
        if simulate(sound, "--seed", seed[1])[0] != 0:
            raise Failed(f"seed {seed[1]} fails without the bug, too")
        return f"seed {seed[1]}, {seconds:.0f} s: {seed[2]}"
    if code == 3:
        # What must happen in so many worlds does not any more: `make test-simulation` fails.
        missing = re.search(r"^Never happened: (.*)$", output, re.MULTILINE)
        return f"{seconds:.0f} s, it never happens: {missing[1] if missing else 'some branch'}"
    if code < 0:
        # It met one of its own preconditions: the bug is found, by the shop itself.
        words = re.search(r"Fatal error.*", output)
        return f"{seconds:.0f} s, the shop stopped itself: {words[0] if words else f'signal {-code}'}"
    raise Failed(f"SURVIVED {seeds} seeds, {seconds:.0f} s, exit {code}")


def binary_or_reason(scratch: pathlib.Path, bug: Bug) -> pathlib.Path | Failed:
    try:
        return built(scratch, bug)
    except Failed as reason:
        return reason


def verdict(bug: Bug, binary: pathlib.Path | Failed, sound: pathlib.Path, seeds: int) -> bool:
    """Says whether the bug was caught, and how."""
    try:
        if isinstance(binary, Failed):
            raise binary
        how = searched(binary, sound, seeds)
        binary.unlink()
    except Failed as reason:
        print(f"NOT CAUGHT {bug.name}: {reason}", flush=True)
        return False
    print(f"caught    {bug.name}: {how}", flush=True)
    return True


def run(bugs: list[Bug], scratch: pathlib.Path, seeds: int) -> int:
    copy_sources(scratch)
    try:
        sound = scratch / "sound"
        shutil.copy2(build(scratch), sound)
        code, output, _ = simulate(sound, "--first", "1", "--seeds", str(seeds))
        if code != 0:
            raise Failed(f"the simulator fails without a bug: exit {code}\n{output}")
    except Failed as reason:
        print(f"Without a bug: {reason}")
        return 1
    # A bug is searched for while the next ones are built, which is what takes most of the time.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as searcher:
        verdicts = [searcher.submit(verdict, bug, binary_or_reason(scratch, bug), sound, seeds) for bug in bugs]
    survivors = sum(not each.result() for each in verdicts)
    print(f"{len(bugs) - survivors} of {len(bugs)} bugs caught; without them the same seeds pass.")
    return 1 if survivors else 0


def check() -> int:
    counts = [(bug, (ROOT / bug.file).read_text().count(bug.old)) for bug in BUGS]
    for bug, count in counts:
        if count != 1:
            print(f"{bug.name}: what it replaces stands {count} times in {bug.file}")
    return 0 if all(count == 1 for _, count in counts) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=pathlib.Path, help="where to copy and build; kept (default: a directory that is removed)")
    parser.add_argument("--only", action="append", help="bugs whose name has this text; may be repeated")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"worlds to search for each bug (default: {SEEDS})")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument("--check", action="store_true", help="only see whether what they replace stands in the sources")
    options = parser.parse_args()
    if options.check:
        return check()
    bugs = [bug for bug in BUGS if options.only is None or any(text in bug.name for text in options.only)]
    if options.list:
        print("\n".join(bug.name for bug in bugs))
        return 0
    if not bugs:
        parser.error(f"no bug has {options.only} in its name")
    with tempfile.TemporaryDirectory() as directory:
        return run(bugs, options.scratch or pathlib.Path(directory), options.seeds)


if __name__ == "__main__":
    sys.exit(main())
