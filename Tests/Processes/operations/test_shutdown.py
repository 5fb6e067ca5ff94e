"""A process ends when it is told to, whatever its clients and its store do; and time passes for it, whatever its wall clock says."""

import asyncio
import signal
import socket
import time

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.clocks import set_back_at_each_wait
from Tests.kontor_testing.http_client import get_once
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.running.processes import ManagedProcess
from Tests.kontor_testing.programs import BINARY

# A shutdown, of which no client's patience is a part.
_SOON_SECONDS = 4


class ShutdownTests(ServerCase):
    async def seconds_to_end(self, process: ManagedProcess, code: int = 0) -> float:
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        self.assertEqual(await process.wait_for_exit(), code)
        return time.monotonic() - began

    async def test_half_a_request_does_not_hold_up_a_shutdown(self):
        server = await self.started_server()
        with socket.create_connection((server.host, server.port)) as half:
            half.sendall(b"POST /payment/create_user HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{")
            await asyncio.sleep(0.5)
            took = await self.seconds_to_end(server)
            half.settimeout(5)
            answer = half.recv(65_536)
        self.report(f"a shutdown with half a request: {took:.1f} s")
        self.assertLess(took, _SOON_SECONDS)
        self.assertTrue(answer.startswith(b"HTTP/1.1 429 "), answer)
        self.assertIn(b"shuts down", answer)

    async def test_a_client_that_does_not_read_does_not_hold_up_a_shutdown(self):
        server = await self.started_server()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.connect((server.host, server.port))
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(deaf, b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 500)
            await asyncio.sleep(0.5)
            took = await self.seconds_to_end(server)
        self.report(f"a shutdown with a client that does not read: {took:.1f} s")
        self.assertLess(took, _SOON_SECONDS)

    async def test_a_service_that_waits_for_its_redis_ends_when_it_is_told_to(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                service = ManagedProcess("stock", self.scratch("stock.log"))
                self.addCleanup(service.stop)
                service.environment = {"KONTOR_SECRET": "a secret of enough characters"}
                service._spawn([
                    BINARY, "serve", "--service", "stock", "--store", f"redis://127.0.0.1:{free_port()}", "--port", free_port(),
                    "--internal-port", free_port(), "--order-url", f"http://127.0.0.1:{free_port()}"])
                await asyncio.sleep(1)
                service.assert_runs()
                began = time.monotonic()
                service.signal(number)
                self.assertEqual(await service.wait_for_exit(), 0, service.log())
                took = time.monotonic() - began
                self.report(f"{number.name} while a service waits for its Redis: {took:.1f} s")
                self.assertLess(took, 3)
                self.assertIn("told to end", service.log())


class ClockTests(ServerCase):
    async def test_time_passes_for_an_idle_shop_whose_wall_clock_is_set_back(self):
        """A write, and then silence: what a second of idleness brings about (folding, a checkpoint) happens without a request."""
        self.require("cc")
        server = self.new_server()
        self.scratch("clock").mkdir()
        server.environment = set_back_at_each_wait(self.scratch("clock"), 3_600)
        await server.start()
        before = await self.checkpoints(server)
        self.assertEqual((await server.client().post("/payment/create_user")).status, 200)
        await asyncio.sleep(4)
        after = await self.checkpoints(server)
        self.report(f"checkpoints before and after 4 s of silence: {before:.0f}, {after:.0f}")
        self.assertGreater(after, before)

    async def checkpoints(self, server) -> float:
        answer = await get_once(server.internal_port, "/metrics")
        return float(next(
            line.split()[-1] for line in answer.body.decode().splitlines() if line.startswith("kontor_checkpoint_seconds_count")))
