"""What `up` and `down` share: the processes of a shop on this machine, each known by its pid and its start time."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("order", "payment", "stock")
# A service ends the requests in flight first, and then gives up by itself: longer than both.
PATIENCE_SECONDS = 45  # derived: longest deadline + 15 s
_POLL_SECONDS = 0.02


class Failure(Exception):
    """A sentence for whoever typed the command."""


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _born(pid: int):
    """When the process started, in ticks since the boot, and its session; None if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[19]), int(fields[3]))


class Process:
    """One process that `up` starts. What is known of it is in `NAME.json`; what it writes in `NAME.log`."""

    def __init__(self, directory: Path, name: str, command: list = None, ports=()):
        """`ports` are those on loopback that it will listen on."""
        self.name = name
        self._ports = ports
        self.command = [str(word) for word in command or []]
        self._state_path = directory / "run" / f"{name}.json"
        self.log_path = directory / "log" / f"{name}.log"

    @staticmethod
    def names(directory: Path) -> list:
        """Of all that were started and not ended by `down`."""
        return sorted(path.stem for path in (directory / "run").glob("*.json"))

    @property
    def _state(self) -> dict:
        try:
            return json.loads(self._state_path.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def pid(self):
        """Of the running process, and only if it is the one that was started: the same boot, pid, and start time."""
        state = self._state
        born = _born(state["pid"]) if state.get("boot") == _boot() else None
        return state["pid"] if born and born[0] == state["born"] else None

    def _orphans(self) -> list:
        """Children that outlived it (nginx has some): they are in its session, whose id no new process can get meanwhile."""
        state = self._state
        if state.get("boot") != _boot() or self.pid or _born(state["pid"]):
            return []
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in pids if (_born(pid) or (0, 0))[1] == state["pid"] and _born(pid)[0] >= state["born"]]

    @property
    def is_as_wanted(self) -> bool:
        """Whether it was started by the same words, from the same build."""
        return (self._state.get("command"), self._state.get("build")) == (self.command, self._build())

    def _build(self) -> str:
        program = Path(self.command[0])
        if not program.is_absolute():
            return ""
        found = program.stat()
        return f"{found.st_ino} {found.st_mtime_ns}"

    def start(self):
        for orphan in self._orphans():
            os.kill(orphan, signal.SIGKILL)
        # Somebody else who answers there must not be taken for it.
        for port in self._ports:
            try:
                wait(lambda: is_free(port), f"port {port}", [], seconds=2)
            except Failure:
                raise Failure(
                    f"{self.name} needs port {port}, which another program has: `ss -ltnp | grep :{port}` names it. End that one first."
                ) from None
        for path in (self._state_path, self.log_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=REPOSITORY)
        born = _born(process.pid)
        if born is None:
            raise Failure(f"{self.name} ended at once:\n{self.last_words()}")
        state = {"pid": process.pid, "born": born[0], "boot": _boot(), "command": self.command, "build": self._build()}
        new = self._state_path.with_suffix(".new")
        new.write_text(json.dumps(state, indent=1))
        new.rename(self._state_path)
        # Whoever asks whether it runs sees its remains as such; they go when this command ends.
        process.returncode = 0

    def end(self) -> bool:
        """SIGTERM, and SIGKILL for who does not hear. Returns whether there was anything to end."""
        pid, orphans = self.pid, self._orphans()
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self.pid:
                if time.monotonic() > deadline:
                    print(f"{self.name} (pid {pid}) does not end in {PATIENCE_SECONDS} s, and is killed")
                    os.kill(pid, signal.SIGKILL)
                    deadline = float("inf")
                time.sleep(_POLL_SECONDS)
        for orphan in {*orphans, *self._orphans()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        self._state_path.unlink(missing_ok=True)
        return bool(pid or orphans)

    def hang_up(self):
        """SIGHUP: read the configuration anew."""
        os.kill(self.pid, signal.SIGHUP)

    def last_words(self) -> str:
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join("    " + line for line in text.splitlines()[-15:])


def wait(condition, what: str, processes, seconds: float = 30):
    """Until `condition()`; fails when one of the processes ends meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        for process in processes:
            if process.pid is None:
                raise Failure(f"{process.name} ended. The last lines of {process.log_path}:\n{process.last_words()}")
        if time.monotonic() > deadline:
            logs = f" Logs: {processes[0].log_path.parent}" if processes else ""
            raise Failure(f"{what} did not happen within {seconds:.0f} s.{logs}")
        time.sleep(_POLL_SECONDS)


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def redis_answers(port: int) -> bool:
    """Whether it serves, with its data loaded."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def status(url: str) -> int:
    """Of the answer to a GET; 0 without one."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextlib.contextmanager
def one_at_a_time(directory: Path):
    """Two `up`s at once would start everything twice."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"Another up or down is at work in {directory}.") from None
        yield


def run(main):
    """Ends with a sentence and 1 if something fails."""
    try:
        main()
    except Failure as failure:
        sys.exit(f"{failure}")
