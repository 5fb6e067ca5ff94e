"""What tests share that treat a whole deployment: three Redis stores, three services, and the gateway."""

import os
import tempfile
from pathlib import Path

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.running.redis_servers import RedisServer
from Tests.kontor_testing.running.services import Deployment

# How often each fault is tried.
FAULTS = int(os.environ.get("KONTOR_FAULTS", 1))
# P5.
SETTLING_SECONDS = 5


class ServicesCase(ServerCase):
    """A test with deployments of its own. When it fails, the logs are shown, and kept in a directory that it names."""

    def new_deployment(self, **options) -> Deployment:
        self.require("redis-server", "nginx")
        deployment = Deployment(self.scratch(f"shop-{len(self._servers)}"), **options)
        self._servers.append(_Kept(deployment))
        self.addCleanup(deployment.stop)
        return deployment

    async def started_deployment(self, **options) -> Deployment:
        deployment = self.new_deployment(**options)
        await deployment.start()
        return deployment

    def new_redis(self, name: str, options: dict = None) -> RedisServer:
        self.require("redis-server")
        server = RedisServer(name, self.scratch(name), options)
        self._servers.append(server)
        self.addCleanup(server.stop)
        return server


class _Kept:
    """A deployment as a failed test shows it."""

    def __init__(self, deployment: Deployment):
        self._deployment = deployment
        self.directory = deployment.directory

    def log(self) -> str:
        kept = Path(tempfile.mkdtemp(prefix="kontor-failed-"))
        self._deployment.keep_logs(kept)
        return f"(whole logs in {kept})\n{self._deployment.log()}"
