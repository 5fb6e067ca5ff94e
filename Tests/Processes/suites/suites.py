"""Runs the suites in `test/`, which anybody can run against any shop, and says what they found."""

import json
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from Tests.kontor_testing.programs import REPOSITORY, run_program
from Tests.kontor_testing.virtual_environment import installed

_FOLDER = REPOSITORY / "test"
# How often everybody wants what is scarce, and for how long the users of the stress test play; `make test-public` has more.
CONSISTENCY_RUNS = int(os.environ.get("KONTOR_CONSISTENCY_RUNS", 1))
STRESS_SECONDS = int(os.environ.get("KONTOR_STRESS_SECONDS", 3))
# Whatever takes longer than this besides hangs.
_PATIENCE_SECONDS = 120


class Finding(NamedTuple):
    """What a suite ended with, and how much it did."""

    code: int
    output: str
    summary: str


def _environment(port: int) -> dict:
    # Not inherited: where somebody's own shop is.
    return {"SHOP_URL": f"http://127.0.0.1:{port}", "PYTHONDONTWRITEBYTECODE": "1"}


async def microservices(port: int, *options) -> Finding:
    """`options` are those of unittest. A run without tests would find nothing: their number is asked for, too."""
    code, output = await run_program(
        _PATIENCE_SECONDS, sys.executable, "-m", "unittest", "discover", *options, directory=_FOLDER / "microservices",
        environment=_environment(port))
    ran = re.search(r"^Ran (\d+) tests?", output, re.MULTILINE)
    if not ran or (code == 0 and int(ran[1]) < 50):
        raise AssertionError(f"the correctness suite did not run: {output}")
    return Finding(code, output, ran[0])


async def consistency(port: int, *options) -> Finding:
    """`options` are those of run_consistency_test.py."""
    programs = await _programs()
    program = _FOLDER / "consistency" / "run_consistency_test.py"
    code, output = await run_program(
        _PATIENCE_SECONDS + 20 * CONSISTENCY_RUNS, programs / "python", program, *options, environment=_environment(port))
    unsaid = sum(map(int, re.findall(r"(\d+) times nobody said", output)))
    return Finding(code, output, f"{output.splitlines()[-1]}; {unsaid} times nobody said what became of a checkout")


async def stress(port: int, report: Path, seconds: int = STRESS_SECONDS) -> Finding:
    """With short pauses. Fails if it did not send requests of each kind; the statistics are left in the file `report`.json."""
    programs = await _programs()
    code, output = await run_program(
        _PATIENCE_SECONDS + seconds, programs / "locust", "--headless", "--users", 20, "--spawn-rate", 20,
        "--run-time", f"{seconds}s", "--only-summary", "--json-file", report, directory=_FOLDER / "stress",
        environment={**_environment(port), "STRESS_WAIT_SECONDS": "0.01 0.05"})
    sent = {kind["name"]: kind["num_requests"] for kind in json.loads(report.with_suffix(".json").read_text())}
    # Of 20: after a lie nobody may have come to refunds.
    if len(sent) < 18:
        raise AssertionError(f"the stress test has only sent {sent}: {output}")
    return Finding(code, output, f"{sum(sent.values())} requests")


async def _programs() -> Path:
    return await installed("suites", _FOLDER / "consistency" / "requirements.txt", _FOLDER / "stress" / "requirements_stress.txt")
