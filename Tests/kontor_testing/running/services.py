"""A whole deployment: three Redis stores, three services of one replica or more, and the gateway. To tests it looks like a
`Server`: it has a port, clients, a log and an audit."""

import asyncio
import contextlib
import secrets
import time
from pathlib import Path

# The configuration that `make up` uses.
from deploy.local import gateway as gateway_files
from Tests.kontor_testing.audits import settled_audit
from Tests.kontor_testing.http_client import Answer, Client, Outcome, Reachable, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import BINARY, PATIENCE_SECONDS, run_kontor
from Tests.kontor_testing.running.processes import ManagedProcess
from Tests.kontor_testing.running.redis_servers import RedisCluster, RedisServer

SERVICES = ("order", "payment", "stock")
# Whoever waits for readiness asks again after so long.
_ANSWER_SECONDS = 2


class Service(ManagedProcess):
    """One replica of one service."""

    def __init__(self, deployment, service: str, number: int):
        super().__init__(f"{service}-{number}", deployment.directory / f"{service}-{number}.log")
        self.service = service
        self.port = free_port()
        self.internal_port = free_port()
        self._deployment = deployment
        # What stands instead of the addresses of others, for who wants to stand between.
        self.store_url = None
        # Another release's, where two run side by side.
        self.binary = BINARY
        self.extra = []
        self.environment = {"KONTOR_SECRET": deployment.secret}

    def command(self) -> list:
        deployment = self._deployment
        words = [
            self.binary, "serve", "--service", self.service, "--store", self.store_url or deployment.stores[self.service].url,
            "--host", "127.0.0.1", "--port", self.port, "--internal-host", "127.0.0.1", "--internal-port", self.internal_port]
        if isinstance(deployment.stores[self.service], RedisCluster):
            words += ["--redis-replicas", 1]
        for other in ("stock", "payment") if self.service == "order" else ("order",):
            for url in deployment.internal_urls(other):
                words += [f"--{other}-url", url]
        return words + self.extra

    async def answers(self) -> bool:
        self.assert_runs()
        return await _says_ok(self.port, "/health/ready", self._deployment.tls)

    async def start(self):
        self.spawn()
        await eventually(self.answers, f"the readiness of {self.name}")

    async def metrics(self) -> str:
        """What operators read."""
        client = Client(self.internal_port, connections=1)
        try:
            answer = await client.request("GET", "/metrics", {"Authorization": f"Bearer {self._deployment.secret}"})
            return answer.body.decode()
        finally:
            client.close()


class Gateway(ManagedProcess):
    """nginx, with the configuration that `make up` gives it."""

    def __init__(self, deployment):
        super().__init__("gateway", deployment.directory / "gateway.log")
        self.port = free_port()
        self.ready_port = free_port()
        self._deployment = deployment
        self.workers = "1"

    def command(self) -> list:
        path = gateway_files.write_configuration(
            self._deployment.directory / "gateway", self.port, self.ready_port,
            {name: [f"127.0.0.1:{replica.port}" for replica in self._deployment.replicas[name]] for name in SERVICES},
            workers=self.workers)
        return gateway_files.command(path)

    async def start(self):
        self.spawn()
        await eventually(lambda: self._answers(), "an answer of the gateway")

    async def _answers(self) -> bool:
        self.assert_runs()
        return isinstance(await _answer(self.port, "/"), Answer)


class Deployment(Reachable):
    """All of it, in one directory."""

    def __init__(self, directory, replicas: int = 1, clusters=(), cluster_options: dict = None):
        """Services that are named in `clusters` have a Redis Cluster of 3 masters with a replica each, whose nodes have
        `cluster_options` besides."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.secret = secrets.token_hex(16)
        self.stores = {
            service: RedisCluster(f"redis-{service}", self.directory / f"redis-{service}", options=cluster_options)
            if service in clusters
            else RedisServer(f"redis-{service}", self.directory / f"redis-{service}") for service in SERVICES}
        self.replicas = {name: [Service(self, name, number) for number in range(replicas)] for name in SERVICES}
        self.gateway = Gateway(self)
        # Instead of a service's own addresses: those of who stands before them.
        self.urls = {}
        self.seconds_to_first_answer = None

    # What it is made of

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def services(self) -> list:
        return [replica for replicas in self.replicas.values() for replica in replicas]

    @property
    def redis_servers(self) -> list:
        return [server for store in self.stores.values() for server in store.servers]

    @property
    def processes(self) -> list:
        return [self.gateway, *self.services, *self.redis_servers]

    def internal_urls(self, service: str) -> list:
        return self.urls.get(service) or [
            f"{'https' if self.tls else 'http'}://127.0.0.1:{replica.internal_port}" for replica in self.replicas[service]]

    @property
    def store_arguments(self) -> list:
        return [word for store in self.stores.values() for word in ("--store", store.url)]

    # Start and end

    async def start_stores(self):
        await asyncio.gather(*(store.start() for store in self.stores.values()))

    async def initialize(self):
        code, output = await run_kontor("init", *self.store_arguments)
        if code != 0:
            raise AssertionError(f"kontor init ended with {code}: {output}")

    async def start(self):
        """Starts whatever does not run, and waits until the gateway is ready end to end."""
        started = time.monotonic()
        if not all(server.is_running for server in self.redis_servers):
            await self.start_stores()
            await self.initialize()
        for process in (*self.services, self.gateway):
            if not process.is_running:
                process.spawn()
        await self.wait_until_ready()
        self.seconds_to_first_answer = time.monotonic() - started

    async def wait_until_ready(self, seconds: float = PATIENCE_SECONDS):
        async def is_ready():
            for process in self.processes:
                process.assert_runs()
            return await _says_ok(self.port, "/health/ready")

        await eventually(is_ready, "the readiness of the gateway and all behind it", seconds)

    async def terminate(self) -> int:
        """SIGTERM to all services, and waits for their ends; the stores and the gateway stay. 0 if all ended with 0."""
        return max(map(abs, await asyncio.gather(*(service.terminate() for service in self.services))))

    def stop(self):
        for process in self.processes:
            process.kill()

    # Asking it

    async def clean_audit(self) -> tuple:
        """Adds up what is in the stores, when no checkout is open any more: whether all is well, and the words."""
        return await settled_audit(lambda: run_kontor("audit", *self.store_arguments))

    def log(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.log()}" for process in self.processes)

    def keep_logs(self, directory: Path):
        """For whoever looks into a failure."""
        directory.mkdir(parents=True, exist_ok=True)
        for process in self.processes:
            with contextlib.suppress(FileNotFoundError):
                (directory / f"{process.name}.log").write_bytes(process.log_path.read_bytes())


async def _answer(port: int, path: str, tls=None) -> Outcome:
    return await get_once(port, path, seconds=_ANSWER_SECONDS, tls=tls)


async def _says_ok(port: int, path: str, tls=None) -> bool:
    return (await _answer(port, path, tls)).status == 200
