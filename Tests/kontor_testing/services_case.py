"""What tests share that treat a whole deployment: three Redis stores, three services, and the gateway."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from case import ServerCase
from redis_servers import RedisServer
from services import Deployment
from shop_case import ShopCase

# How often each fault is tried.
FAULTS = int(os.environ.get("KONTOR_FAULTS", 1))
# P5.
SETTLING_SECONDS = 5


class ServicesCase(ServerCase):
    """A test with deployments of its own. When it fails, the logs are shown, and kept in a directory that it names."""

    def new_deployment(self, **options) -> Deployment:
        for tool in ("redis-server", "nginx"):
            self.require(tool)
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

    async def assert_clean_audit(self, server: Deployment):
        """Its three stores add up, and nothing is open or held 5 s after the last request."""
        is_clean, output = await server.audit()
        self.assertTrue(is_clean, f"kontor audit: {output}")


class _Kept:
    """A deployment as a failed test shows it."""

    def __init__(self, deployment: Deployment):
        self._deployment = deployment
        self.directory = deployment.directory

    def log(self) -> str:
        kept = Path(tempfile.mkdtemp(prefix="kontor-failed-"))
        self._deployment.keep_logs(kept)
        return f"(whole logs in {kept})\n{self._deployment.log()}"
