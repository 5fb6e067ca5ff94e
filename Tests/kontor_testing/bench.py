"""Runs of `kontor bench`, the load generator, and what their reports say."""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

from Tests.kontor_testing.programs import BINARY, REPOSITORY, Failed


async def bench(scenario: str, port: int, *options, prefix=(), seconds: float = 240, watch=None) -> dict:
    """One run of the generator to its end; its report. A run without a result (its books do not balance) raises `Failed`.

    `prefix` is a command that runs it, and becomes it. `watch` is called with the generator's process id and each line that it says.
    """
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as directory:
        path = Path(directory) / "report.json"
        process = await asyncio.create_subprocess_exec(
            *prefix, BINARY, "bench", scenario, "--replace", "--port", str(port), "--json", str(path), *map(str, options),
            cwd=REPOSITORY,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said = []

        async def listen():
            async for line in process.stdout:
                said.append(line.decode(errors="replace"))
                if watch is not None:
                    watch(process.pid, said[-1])

        try:
            await asyncio.wait_for(asyncio.gather(listen(), process.wait()), seconds)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if process.returncode != 0:
            raise Failed(f"kontor bench {scenario} ended with {process.returncode}:\n{''.join(said)[-2000:]}")
        return json.loads(path.read_text())


def line(report: dict, status: int) -> dict:
    """What a report says about one status; all zero if nothing was answered with it."""
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
