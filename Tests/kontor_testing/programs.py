"""Programs that run to their end, above all the binary under test."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# The binary under test. A relative path is one below the repository.
BINARY = str(REPOSITORY / os.environ.get("KONTOR_BINARY", ".build/release/kontor"))

# How long a start, an end, or a command of the binary may take before a test gives up on it.
PATIENCE_SECONDS = 60  # derived: longest deadline + 30 s


def end_well():
    """Makes SIGTERM, which `timeout` sends, an interrupt: whoever started something is told, and nothing stays behind."""
    def interrupt(*_):
        raise KeyboardInterrupt("told to end")

    signal.signal(signal.SIGTERM, interrupt)


class Failed(AssertionError):
    """A command that ended with something else than 0, or not in time."""


def run(*words, seconds: float = 120, environment: dict = None, directory=None, text: str = None, check: bool = True):
    """Runs a command to its end, with `text` as its input; returns exit status and output, both streams in one.

    `environment` has variables besides the usual ones. Raises `Failed` if it takes too long, and, with `check`, if it does not end with 0.
    """
    words = [str(word) for word in words]
    process = subprocess.Popen(
        words, cwd=directory, env={**os.environ, **(environment or {})}, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(text, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        raise Failed(f"{' '.join(words)} did not end within {seconds} s") from None
    if check and process.returncode != 0:
        hint = "" if os.geteuid() == 0 else " (these tests need root)"
        raise Failed(f"{' '.join(words)} ended with {process.returncode}{hint}:\n{output[-6_000:]}")
    return process.returncode, output


async def run_program(seconds: float, *command, environment: dict = None, directory=REPOSITORY) -> tuple:
    """Runs a program to its end while other tasks go on; returns exit status and output, whatever the status is."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=directory, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **(environment or {})})
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise Failed(f"{' '.join(map(str, command))} did not end within {seconds} s") from None
    return process.returncode, output.decode(errors="replace")


async def run_kontor(*arguments, environment: dict = None, seconds: float = PATIENCE_SECONDS) -> tuple:
    """Runs a command of the binary to its end; returns exit status and output."""
    return await run_program(seconds, BINARY, *arguments, environment=environment)
