"""A process that a test starts and treats badly: started again, killed, paused, and its log. With all its children."""

import atexit
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from server import PATIENCE_SECONDS, REPOSITORY, thread_states, until

_living = set()


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
        self.started = None
        self.is_frozen = False

    def __str__(self):
        return self.name

    def command(self) -> list:
        """The words to be run; a subclass says."""
        raise NotImplementedError

    def spawn(self):
        """Starts it without waiting for it, at the head of a group of processes of its own."""
        assert not self.is_running, f"{self.name} runs"
        with open(self.log_path, "ab") as log:
            log.write(f"--- started at {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                [str(word) for word in self.command()], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, **self.environment})
        _living.add(self)

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
        """The process and its children that live."""
        pids = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    state, _, _, session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
                    if int(session) == self.pid and state not in "ZX":
                        pids.append(int(entry.name))
        return pids

    def cpu_seconds(self) -> float:
        """What the process and its children have used so far."""
        ticks = 0
        for pid in self.group():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self):
        """`kill -9` of all of it, and waits for the end."""
        if self.process is None:
            return
        for pid in self.group():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)
        self.is_frozen = False
        _living.discard(self)

    stop = kill

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    async def wait_for_exit(self) -> int:
        await until(lambda: self.process.poll() is not None, f"the end of {self.name}")
        _living.discard(self)
        return self.process.returncode

    async def freeze(self):
        """SIGSTOP, and waits until nothing of it moves."""
        pids = self.group()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.is_frozen = True
        await until(lambda: all(set(thread_states(pid)) <= set("TD") for pid in pids), f"the stop of {self.name}")

    def resume(self):
        """SIGCONT."""
        for pid in self.group():
            os.kill(pid, signal.SIGCONT)
        self.is_frozen = False

    def log(self) -> str:
        """Its last part."""
        return self.log_path.read_text(errors="replace")[-6_000:] if self.log_path.exists() else ""
