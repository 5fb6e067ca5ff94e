"""`kontor serve` over an embedded store: started, killed, stopped, restarted, and how long it takes to serve again."""

import json
import time
from pathlib import Path

from Tests.kontor_testing.http_client import Answer, Reachable, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import BINARY, run_kontor
from Tests.kontor_testing.running.processes import ManagedProcess


class Server(ManagedProcess, Reachable):
    """One data directory, and the process that serves it; the ports stay the same over restarts."""

    def __init__(self, directory, log_path):
        super().__init__("kontor", log_path)
        self.directory = Path(directory)
        self.port = free_port()
        self.internal_port = free_port()
        self.seconds_to_first_answer = None
        # Further options of each start.
        self.extra = []

    # Starting

    @property
    def listening(self) -> list:
        """The options that say where it listens."""
        return ["--host", self.host, "--port", self.port, "--internal-port", self.internal_port]

    def spawn(self, prefix=(), arguments=()):
        """Starts the process without waiting for it; `prefix` is a command that runs it, and becomes it."""
        self.spawn_with([*self.listening, "--data", self.directory, *self.extra, *arguments], prefix=prefix)

    def spawn_with(self, arguments, environment: dict = None, prefix=()):
        """Starts `kontor serve` with these arguments alone, and with these variables besides the usual ones."""
        self._spawn([*prefix, BINARY, "serve", *arguments], environment)

    async def start(self):
        """Starts the process and waits until it serves."""
        self.spawn()
        await self.wait_until_ready()

    async def wait_until_ready(self):
        """Waits for the first good answer to a read, and remembers how long it took since the start of the process."""
        async def is_ready():
            self.assert_runs()
            return (await get_once(self.port, "/health/ready", self.host, tls=self.tls)).status == 200

        await eventually(is_ready, "the server's being ready")
        read = await get_once(self.port, "/stock/find/no-such-item", self.host, tls=self.tls)
        self.seconds_to_first_answer = time.monotonic() - self.started
        if read.status not in (200, 404):
            raise AssertionError(f"the server is ready and answers a read with {read}")

    # Asking it

    async def audit(self) -> dict:
        """What the running server says about its own books."""
        answer = await get_once(self.internal_port, "/audit", tls=self.tls)
        if not isinstance(answer, Answer):
            raise AssertionError(f"GET /audit on the internal port: {answer}")
        return json.loads(answer.body)

    async def clean_audit(self) -> tuple:
        """The server's own proof, asked both ways: whether all is well, and the words."""
        report = await self.audit()
        if report.get("clean") is not True:
            return False, f"GET /audit: {report}"
        code, output = await run_kontor("audit", "--data", self.directory)
        return code == 0, output
