"""A process that a test starts and treats badly: started again, killed, paused, and its log. With all its children."""

import atexit
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import cpu_seconds, session_members, thread_states
from Tests.kontor_testing.programs import PATIENCE_SECONDS, REPOSITORY, end_well

_living = set()
# They have sessions of their own, and do not end with this process.
end_well()


@atexit.register
def _kill_what_is_left():
    for process in list(_living):
        process.kill()


class ManagedProcess:
    """One command; `name` is what reports call it. What it writes goes to one log over all its lives."""

    def __init__(self, name: str, log_path):
        self.name = name
        self.log_path = Path(log_path)
        self.environment = {}
        self.process = None
        # The moment of the last start, on the monotonic clock.
        self.started = None
        self.is_frozen = False

    def __str__(self):
        return self.name

    # Starting

    def command(self) -> list:
        """The words to be run; a subclass says."""
        raise NotImplementedError

    def spawn(self):
        """Starts it without waiting for it."""
        self._spawn(self.command())

    def _spawn(self, words, environment: dict = None):
        """Starts these words at the head of a session of their own, with these variables besides the usual ones."""
        assert not self.is_running, f"{self.name} runs"
        with open(self.log_path, "ab") as log:
            log.write(f"--- started at {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                [str(word) for word in words], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **self.environment, **(environment or {})})
        _living.add(self)

    # What it is now

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def assert_runs(self):
        """Whoever waits for it needs to know that it ended."""
        if not self.is_running:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")

    def group(self) -> list:
        """The process and its children that live, by id."""
        return session_members(self.pid)

    def cpu_seconds(self) -> float:
        """What the process and its children have used so far."""
        return cpu_seconds(*self.group())

    def log(self) -> str:
        """The last part of what it wrote."""
        return self.log_path.read_text(errors="replace")[-8_000:] if self.log_path.exists() else ""

    # Ending and pausing

    def kill(self):
        """`kill -9` of all of it, and waits for the end. Does nothing if it was never started."""
        if self.process is None:
            return
        for pid in self.group():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()
        self.is_frozen = False

    stop = kill

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self) -> int:
        """Waits for the end of the process and returns its exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        _living.discard(self)
        return code

    async def wait_for_exit(self) -> int:
        """The same, while other tasks go on."""
        await eventually(lambda: self.process.poll() is not None, f"the end of {self.name}")
        return self.wait()

    async def terminate(self) -> int:
        """SIGTERM; returns the exit code when it has ended."""
        self.signal()
        return await self.wait_for_exit()

    async def freeze(self):
        """SIGSTOP, and waits until no thread can do anything any more, except to end a system call that it is in."""
        pids = self.group()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.is_frozen = True
        await eventually(lambda: all(set(thread_states(pid)) <= set("TD") for pid in pids), f"the stop of {self.name}")

    def resume(self):
        """SIGCONT."""
        for pid in self.group():
            os.kill(pid, signal.SIGCONT)
        self.is_frozen = False
