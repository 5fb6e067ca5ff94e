"""Starts, kills, stops and restarts `kontor serve`, and measures how long it takes to serve again."""

import asyncio
import atexit
import collections
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from http_client import Answer, Client

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = str(Path(os.environ.get("KONTOR_BINARY", ".build/release/kontor")))
if not os.path.isabs(BINARY):
    BINARY = str(REPOSITORY / BINARY)

# How long anything that a server does at its start or end may take before a test gives up on it.
PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.005

_living = set()
# Ports are given before anybody listens on them: none twice in a row.
_given_ports = collections.deque(maxlen=5_000)


@atexit.register
def _kill_what_is_left():
    for process in list(_living):
        process.kill()


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                _given_ports.append(port)
                return port
            except OSError:
                continue


async def until(condition, what: str, seconds: float = PATIENCE_SECONDS):
    """Polls `condition`, a function or coroutine function, until it gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        await asyncio.sleep(_POLL_SECONDS)


def thread_files(pid: int, name: str) -> list:
    """This file of proc(5) of each thread that lives."""
    texts = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            texts.append((thread / name).read_text())
    return texts


def thread_states(pid: int) -> list:
    """The state of each thread, in the letters of proc(5)."""
    return [text.rsplit(")", 1)[1].split()[0] for text in thread_files(pid, "stat")]


class Server:
    """One data directory, and the process that serves it; the ports stay the same over restarts."""

    def __init__(self, directory, log_path):
        self.directory = Path(directory)
        self.log_path = Path(log_path)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.internal_port = free_port()
        self.process = None
        self.seconds_to_first_answer = None
        self._started = None

    # Starting

    def spawn(self, prefix=(), arguments=()):
        """Starts the process without waiting for it; `prefix` is a command that runs it, and becomes it."""
        self.spawn_with(
            ["--host", self.host, "--port", self.port, "--internal-port", self.internal_port,
             "--data", self.directory, *arguments], prefix=prefix)

    def spawn_with(self, arguments, environment=None, prefix=()):
        """Starts `kontor serve` with these arguments, and with these variables besides the usual ones."""
        with open(self.log_path, "ab") as log:
            log.write(f"--- started at {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self._started = time.monotonic()
            self.process = subprocess.Popen(
                [*prefix, BINARY, "serve", *map(str, arguments)], cwd=REPOSITORY, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        _living.add(self.process)

    async def start(self):
        """Starts the process and waits until it serves."""
        self.spawn()
        await self.wait_until_ready()

    async def wait_until_ready(self):
        """Waits for the first good answer to a read, and remembers how long it took since the start of the process."""
        client = self.client(connections=1)

        async def is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"kontor ended with {self.process.returncode} instead of serving:\n{self.log()}")
            return (await client.get("/health/ready")).status == 200

        try:
            await until(is_ready, "the server's being ready")
            read = await client.get("/stock/find/no-such-item")
            self.seconds_to_first_answer = time.monotonic() - self._started
        finally:
            client.close()
        if read.status not in (200, 404):
            raise AssertionError(f"the server is ready and answers a read with {read}")

    def log(self) -> str:
        """What the processes of this server wrote, at most its last part."""
        return self.log_path.read_text(errors="replace")[-8_000:] if self.log_path.exists() else ""

    # Ending

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """`kill -9`, and waits for the end."""
        self.process.kill()
        self.wait()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    async def freeze(self):
        """SIGSTOP, and waits until no thread can do anything any more, except to end a system call that it is in."""
        self.signal(signal.SIGSTOP)
        await until(lambda: set(thread_states(self.pid)) <= set("TD"), "the stop of all threads")

    def wait(self) -> int:
        """Waits for the end of the process and returns its exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        _living.discard(self.process)
        return code

    async def wait_for_exit(self) -> int:
        """The same, while other tasks go on."""
        await until(lambda: self.process.poll() is not None, "the end of the process")
        return self.wait()

    def stop(self):
        """Makes sure that no process is left."""
        if self.process is not None:
            self.kill()

    # Asking it

    def client(self, connections: int = 64) -> Client:
        return Client(self.port, connections, self.host)

    async def audit(self) -> dict:
        """What the running server says about its own books."""
        client = Client(self.internal_port, connections=1)
        try:
            answer = await client.get("/audit")
        finally:
            client.close()
        if not isinstance(answer, Answer):
            raise AssertionError(f"GET /audit on the internal port: {answer}")
        return json.loads(answer.body)


async def run_program(seconds: float, *command, environment: dict = None, directory=REPOSITORY) -> tuple:
    """Runs a program to its end; returns exit code and output, and fails if that takes too long."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=directory, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **(environment or {})})
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"{' '.join(map(str, command))} did not end within {seconds} s") from None
    return process.returncode, output.decode(errors="replace")


async def run_kontor(*arguments, environment=None, seconds=PATIENCE_SECONDS):
    """Runs another command of the binary to its end; returns exit code and output."""
    return await run_program(seconds, BINARY, *arguments, environment=environment)
