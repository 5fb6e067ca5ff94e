"""Puts bugs into a copy of the sources, wakes them one at a time, and sees whether the simulator catches each.

A simulator that finds nothing proves something only if it would have found something. Exits with 1 if a bug was not caught
within its seeds, did not compile, or if what it replaces does not stand in the sources exactly once.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import schema
from bugs import BUGS, Bug

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["KontorCore", "KontorService", "KontorEmbedded", "KontorSimulation"]
BUILD = ["swift", "build", "-c", "release", "--static-swift-stdlib", "-Xswiftc", "-enforce-exclusivity=unchecked",
         "--product", "kontor"]
# As many as `make simulate` looks at: most bugs are caught by the first hundred. Seeds and not seconds: what is caught does not
# depend on the machine.
SEEDS = 10_000
# A bug may make a world endless.
SECONDS = 1_800


class Failed(Exception):
    """What to tell: a bug was not caught, or could not be looked for."""


def sources() -> dict[pathlib.Path, pathlib.Path]:
    """What the simulator is made of, and no more: where each file is copied to, and what it is copied from."""
    package = ROOT / "Tests/Mutants/package"
    files = {path.relative_to(ROOT): path for name in TARGETS for path in (ROOT / "Sources" / name).rglob("*.swift")}
    return files | {
        pathlib.Path("Package.swift"): package / "Package.swift",
        pathlib.Path("Sources/kontor/main.swift"): package / "main.swift",
        pathlib.Path("Sources/kontor/Simulate.swift"): ROOT / "Sources/kontor/Commands/Simulate.swift",
    }


def with_bugs(bugs: dict[int, Bug]) -> tuple[dict[pathlib.Path, str], dict[int, tuple[pathlib.Path, int, int]]]:
    """The sources with each bug beside what it replaces; and the file of each, and where its function begins and ends there."""
    texts = {path: source.read_text() for path, source in sources().items()}
    places = {}
    for path in {pathlib.Path(bug.file) for bug in bugs.values()}:
        here = {number: bug for number, bug in bugs.items() if pathlib.Path(bug.file) == path}
        text, lines = schema.with_bugs(texts[path], {number: (bug.old, bug.new) for number, bug in here.items()})
        # Where `bug` is declared. The line is not a new one, so that the compiler's are those of `places`.
        texts[path] = text if "KontorCore" in path.parts else f"import KontorCore; {text}"
        places |= {number: (path, *lines[number]) for number in here}
    texts[pathlib.Path("Sources/KontorCore/Bug.swift")] = schema.DECLARATION
    return texts, places


def write(texts: dict[pathlib.Path, str], scratch: pathlib.Path) -> None:
    """Writes the sources; what was built there before stays, to be built upon."""
    scratch.mkdir(parents=True, exist_ok=True)
    for old in set((scratch / "Sources").rglob("*.swift")) - {scratch / path for path in texts}:
        old.unlink()
    for path, text in texts.items():
        target = scratch / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # What has not changed keeps its date, and need not be compiled again.
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    # The versions that the package is built with.
    if (ROOT / "Package.resolved").exists() and not (scratch / "Package.resolved").exists():
        shutil.copyfile(ROOT / "Package.resolved", scratch / "Package.resolved")


def build(scratch: pathlib.Path, bugs: dict[int, Bug]) -> pathlib.Path:
    """A binary with all bugs, none of which is alive unless KONTOR_BUG says so."""
    texts, places = with_bugs(bugs)
    write(texts, scratch)
    done = subprocess.run(BUILD, cwd=scratch, capture_output=True, text=True)
    if done.returncode == 0:
        return scratch / ".build/release/kontor"
    reasons = []
    for file, line, reason in re.findall(r"^(/.*?):(\d+):\d+: (error: .*)$", done.stdout + done.stderr, re.MULTILINE):
        names = [bugs[number].name for number, (path, first, last) in places.items()
                 if scratch / path == pathlib.Path(file) and first <= int(line) <= last]
        reasons.append(f"{reason} ({file}:{line}; {' or '.join(names) or 'no bug'})")
    raise Failed("does not compile: " + "\n".join(dict.fromkeys(reasons) or (done.stdout + done.stderr).splitlines()[-20:]))


def simulate(binary: pathlib.Path, bug: int, *arguments: str) -> tuple[int, str, float]:
    start = time.monotonic()
    try:
        done = subprocess.run([binary, "simulate", *arguments], capture_output=True, text=True, timeout=SECONDS,
                              env={**os.environ, "KONTOR_BUG": str(bug)})
    except subprocess.TimeoutExpired:
        raise Failed(f"the simulator did not end within {SECONDS} s")
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


def searched(binary: pathlib.Path, bug: int, seeds: int) -> str:
    """How the simulator catches the bug. Without it, the seed that does must pass."""
    code, output, seconds = simulate(binary, bug, "--first", "1", "--seeds", str(seeds), "--failures", "1")
    seed = re.search(r"^Seed (\d+) BROKE.*\n  (.*)$", output, re.MULTILINE)
    if code == 1 and seed:
        if simulate(binary, 0, "--seed", seed[1])[0] != 0:
            raise Failed(f"seed {seed[1]} fails without the bug, too")
        return f"seed {seed[1]}, {seconds:.0f} s: {seed[2]}"
    if code == 3:
        # What must happen in so many worlds does not any more: `make test-simulation` fails.
        missing = re.search(r"^Never happened: (.*)$", output, re.MULTILINE)
        return f"{seconds:.0f} s, it never happens: {missing[1] if missing else 'some branch'}"
    if -code in (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
        # It met one of its own preconditions: the bug is found, by the shop itself.
        words = re.search(r"Fatal error.*", output)
        return f"{seconds:.0f} s, the shop stopped itself: {words[0] if words else f'signal {-code}'}"
    if code < 0:
        raise Failed(f"the simulator was killed from outside, by signal {-code}")
    raise Failed(f"SURVIVED {seeds} seeds, {seconds:.0f} s, exit {code}")


def is_caught(binary: pathlib.Path, number: int, bug: Bug, seeds: int) -> bool:
    """Says whether the bug was caught, and how."""
    try:
        print(f"caught    {bug.name}: {searched(binary, number, seeds)}", flush=True)
    except Failed as reason:
        print(f"NOT CAUGHT {bug.name}: {reason}", flush=True)
        return False
    return True


def run(bugs: dict[int, Bug], scratch: pathlib.Path, seeds: int) -> int:
    try:
        binary = build(scratch.resolve(), bugs)
        code, output, _ = simulate(binary, 0, "--first", "1", "--seeds", str(seeds))
        if code != 0:
            raise Failed(f"the simulator fails: exit {code}\n{output}")
    except Failed as reason:
        print(f"With no bug alive: {reason}")
        return 1
    caught = sum(is_caught(binary, number, bug, seeds) for number, bug in bugs.items())
    print(f"{caught} of {len(bugs)} bugs caught; without them the same seeds pass.")
    return 0 if caught == len(bugs) else 1


def check() -> int:
    """Whether what each bug replaces stands in the sources exactly once, in a function."""
    faults = []
    for bug in BUGS:
        text = (ROOT / bug.file).read_text()
        if text.count(bug.old) != 1:
            faults.append(f"{bug.name}: what it replaces stands {text.count(bug.old)} times in {bug.file}")
        elif not schema.with_bugs(text, {1: (bug.old, bug.new)})[1]:
            faults.append(f"{bug.name}: it stands in no function, or its braces do not match")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


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
    if check() != 0:
        return 1
    bugs = {number: bug for number, bug in enumerate(BUGS, 1)
            if options.only is None or any(text in bug.name for text in options.only)}
    if options.list:
        print("\n".join(bug.name for bug in bugs.values()))
        return 0
    if not bugs:
        parser.error(f"no bug has {options.only} in its name")
    with tempfile.TemporaryDirectory() as directory:
        return run(bugs, options.scratch or pathlib.Path(directory), options.seeds)


if __name__ == "__main__":
    sys.exit(main())
