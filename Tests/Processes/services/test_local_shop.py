"""`make up` and `make down`: start what does not run, end what was started and nothing else, keep the data."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import BINARY, REPOSITORY

_SCRIPTS = REPOSITORY / "deploy" / "local"


class LocalShopTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("redis-server", "nginx")
        self.directory = self.scratch("shop")
        self.port = free_port()
        # So many in a row that are free: below those that free_port gives.
        self.first = 10_000 + 400 * (os.getpid() % 20)
        self.addAsyncCleanup(self.run_script, "down", check=False)

    async def run_script(self, name: str, *arguments, check: bool = True) -> str:
        words = [_SCRIPTS / name, "--directory", self.directory]
        if name == "up":
            words += [
                "--binary", BINARY, "--port", self.port, "--redis-port", self.first, "--service-port", self.first + 10, *arguments]
        process = await asyncio.create_subprocess_exec(
            *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        output = (await process.communicate())[0].decode()
        if check:
            self.assertEqual(process.returncode, 0, output)
        self.code = process.returncode
        return output

    def pids(self) -> dict:
        return {path.stem: json.loads(path.read_text())["pid"] for path in (self.directory / "run").glob("*.json")}

    async def assert_paid(self, order: str):
        answer = await get_once(self.port, f"/orders/find/{order}")
        self.assertTrue(answer.status == 200 and answer.json()["paid"], str(answer))

    async def test_up_starts_a_shop_that_sells_and_down_keeps_what_it_sold(self):
        await self.run_script("up")
        order = (await self.sold_something(Client(self.port)))["order"]
        before = self.pids()
        self.assertEqual(len(before), 7)
        self.assertIn("Everything runs already", await self.run_script("up"))
        self.assertEqual(self.pids(), before)
        await self.run_script("down")
        self.assertEqual(self.pids(), {})
        for name, pid in before.items():
            self.assertFalse(Path(f"/proc/{pid}/exe").exists(), f"{name} outlived down")
        await self.run_script("up")
        await self.assert_paid(order)

    async def test_up_starts_only_what_does_not_run(self):
        await self.run_script("up", "--replicas", 2)
        order = (await self.sold_something(Client(self.port)))["order"]
        before = self.pids()
        for name in ("stock-1", "redis-payment", "gateway"):
            os.kill(before[name], signal.SIGKILL)
        await eventually(
            lambda: not any(Path(f"/proc/{before[name]}/exe").exists() for name in ("stock-1", "redis-payment", "gateway")),
            "the end of what was killed")
        output = await self.run_script("up", "--replicas", 2)
        after = self.pids()
        self.assertEqual({name for name in after if after[name] != before[name]}, {"stock-1", "redis-payment", "gateway"}, output)
        await self.assert_paid(order)
        await self.run_script("up")
        self.assertEqual(set(self.pids()), {"gateway", *(f"redis-{name}" for name in ("order", "payment", "stock")),
                                            "order-0", "payment-0", "stock-0"})
        await self.assert_paid(order)

    async def test_down_ends_no_process_that_up_did_not_start(self):
        """Its pid may be somebody else's by now."""
        await self.run_script("up")
        with subprocess.Popen(["sleep", "1000"]) as bystander:
            path = self.directory / "run" / "stock-0.json"
            state = json.loads(path.read_text())
            stock = state["pid"]
            path.write_text(json.dumps({**state, "pid": bystander.pid}))
            try:
                await self.run_script("down")
                self.assertIsNone(bystander.poll())
            finally:
                bystander.kill()
                os.kill(stock, signal.SIGKILL)

    async def test_up_does_not_take_a_stranger_on_its_port_for_its_own(self):
        for port in (self.first, self.port):
            with socket.create_server(("127.0.0.1", port)):
                output = await self.run_script("up", check=False)
                self.assertNotEqual(self.code, 0)
                self.assertIn(str(port), output)
        await self.run_script("up")
