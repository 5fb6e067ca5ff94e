"""What all tests of processes share: servers that are stopped and removed afterwards, seeds, and logs of failed tests."""

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

from Tests.kontor_testing.remembering.judge import judge
from Tests.kontor_testing.running.server import Server

# A test that takes longer says so: `make test` is to stay short.
_LONG_SECONDS = 15


class ServerCase(unittest.IsolatedAsyncioTestCase):
    """A test with servers of its own. When it fails, what its servers wrote is shown."""

    def run(self, result=None):
        self._servers = []
        result = result or self.defaultTestResult()
        bad_before = len(result.failures) + len(result.errors)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="kontor-test-") as self._scratch:
            super().run(result)
            if (seconds := time.monotonic() - began) > _LONG_SECONDS:
                print(f"{self.id()} took {seconds:.0f} s", file=sys.stderr)
            if len(result.failures) + len(result.errors) > bad_before:
                for server in self._servers:
                    print(f"\n=== the log of {server.directory}:\n{server.log()}", file=sys.stderr)
        return result

    async def asyncSetUp(self):
        # unittest turns it on, and it makes the load several times slower.
        asyncio.get_running_loop().set_debug(False)

    def scratch(self, name: str) -> Path:
        """A path that is removed after the test."""
        return Path(self._scratch) / name

    def new_server(self, directory=None) -> Server:
        """A server that was not started yet; on a directory of its own unless one is given."""
        number = len(self._servers)
        server = Server(directory or self.scratch(f"data-{number}"), self.scratch(f"log-{number}"))
        self._servers.append(server)
        self.addCleanup(server.stop)
        return server

    async def started_server(self, directory=None) -> Server:
        server = self.new_server(directory)
        await server.start()
        return server

    def seeded_random(self) -> random.Random:
        """Randomness that KONTOR_SEED reproduces: the choices, not the timing."""
        seed = int(os.environ.get("KONTOR_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"\n{self.id()}: KONTOR_SEED={seed}", file=sys.stderr)
        return random.Random(seed)

    def report(self, text: str):
        """Shows a measurement."""
        print(f"\n    {text}", file=sys.stderr)

    async def assert_clean_audit(self, server):
        """The books of a server or deployment balance; in those of a deployment, nothing is open or held any more."""
        is_clean, output = await server.clean_audit()
        self.assertTrue(is_clean, f"kontor audit: {output}")

    async def assert_judged_well(self, shop, only_recent: bool = False):
        """The final state agrees with everything that the client remembers."""
        found = await judge(shop.history, shop.client, only_recent)
        self.assertEqual(found, [], "\n".join(found[:20]))

    def require(self, *tools: str):
        """Fails, rather than skips: a promise that was not tested is not kept."""
        for tool in tools:
            if shutil.which(tool) is None:
                self.fail(f"this test needs {tool}, which is not installed")

    async def sold_something(self, client) -> dict:
        """The ids of an item, a user and a paid order."""
        async def made(path: str, key: str = "") -> str:
            answer = await client.post(path)
            self.assertEqual(answer.status, 200, f"{path}: {answer}")
            return answer.json().get(key)

        item, user = await made("/stock/item/create/5", "item_id"), await made("/payment/create_user", "user_id")
        await made(f"/stock/add/{item}/3")
        await made(f"/payment/add_funds/{user}/20")
        order = await made(f"/orders/create/{user}", "order_id")
        await made(f"/orders/addItem/{order}/{item}/2")
        await made(f"/orders/checkout/{order}")
        return {"item": item, "user": user, "order": order}
