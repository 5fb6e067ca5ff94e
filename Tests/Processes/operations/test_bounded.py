"""P7 for one process: clients that only take up room, and an audit of many accounts, cost bounded memory, and nobody else waits."""

import asyncio
import contextlib
import time

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.memory import memory_limit
from Tests.kontor_testing.http_client import get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import resident_bytes
from Tests.kontor_testing.programs import run_kontor

_MIB = 1 << 20


class Crowd:
    """Connections that say the same thing and read nothing."""

    def __init__(self, server, said: bytes = b""):
        self._server = server
        self._said = said
        self._transports = []

    async def grow(self, count: int):
        async def connect():
            # One that is turned away is closed by the server.
            with contextlib.suppress(OSError):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    _Deaf, self._server.host, self._server.port)
                transport.write(self._said)
                self._transports.append(transport)

        for _ in range(0, count, 200):
            await asyncio.gather(*(connect() for _ in range(200)))

    def close(self):
        for transport in self._transports:
            transport.abort()


class _Deaf(asyncio.Protocol):
    def connection_made(self, transport):
        transport.pause_reading()


class ConnectionTests(ServerCase):
    async def test_health_is_answered_and_idle_connections_make_room_when_all_connections_are_taken(self):
        server = await self.started_server()
        crowd = Crowd(server)
        self.addCleanup(crowd.close)
        await crowd.grow(10_400)
        for path in ("/health/live", "/health/ready"):
            answer = await get_once(server.port, path)
            self.assertEqual(answer.status, 200, f"{path}: {answer}")
        self.assertEqual((await run_kontor("health", "--port", server.port))[0], 0)
        # Who has been idle for a second makes room for others.
        await asyncio.sleep(1.5)
        statuses = [(await get_once(server.port, "/stock/find/x")).status for _ in range(50)]
        self.report(f"50 reads beside 10,400 idle connections: {sorted(set(statuses))}")
        self.assertEqual(set(statuses), {404})

    async def test_clients_that_only_take_up_room_cost_bounded_memory(self):
        """10,000 idle connections; as many with half a head; as many that ask for large pages and read nothing."""
        server = await self.started_server()
        await get_once(server.port, "/openapi.json")
        failures = []
        half = b"GET /stock/find/x HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 12_000
        for name, said in (
            ("10,000 idle connections", b""), ("10,000 with half a request", half),
            ("10,000 that do not read", b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 40),
        ):
            before = resident_bytes(server.pid)
            crowd = Crowd(server, said)
            await crowd.grow(10_000)
            await asyncio.sleep(2)
            after = resident_bytes(server.pid)
            self.report(f"{name}: {before / _MIB:.0f} MiB before, {after / _MIB:.0f} MiB with them")
            live = await get_once(server.port, "/health/live")
            if live.status != 200:
                failures.append(f"{name}: {live}")
            if after - before > 200 * _MIB:
                failures.append(f"{name}: {(after - before) / _MIB:.0f} MiB")
            crowd.close()
            await asyncio.sleep(1)
        self.assertEqual(failures, [])


class MemoryTests(ServerCase):
    async def test_bounds_follow_from_the_memory_that_a_container_has_and_are_said_at_the_start(self):
        server = self.new_server()
        with memory_limit(512 * _MIB) as words:
            # Which cache fits is not the question here.
            server.spawn(prefix=words, arguments=("--cache-records", 10_000))
            await server.wait_until_ready()
            ready = next(line for line in server.log().splitlines() if "Ready" in line)
            self.report(ready.split("NOTICE ")[1])
            self.assertIn("memoryMiB=512", ready)
            self.assertIn("connections=6553", ready)
            crowd = Crowd(server)
            await crowd.grow(8_000)
            self.assertEqual((await get_once(server.port, "/health/ready")).status, 200)
            crowd.close()
            self.assertEqual(await server.terminate(), 0)


class AuditTests(ServerCase):
    async def test_an_audit_takes_bounded_memory_one_at_a_time_and_the_metrics_do_not_wait_for_it(self):
        server = await self.started_server()
        client = server.client()
        for path in ("/stock/batch_init/150000/10/1", "/payment/batch_init/150000/10"):
            self.assertEqual((await client.post(path)).status, 200)
        # What is not folded yet is in an audit's memory.
        await eventually(lambda: self.is_folded(server), "the fold of the journal", pause=0.2)
        peak = before = resident_bytes(server.pid)
        audits = [asyncio.create_task(get_once(server.internal_port, "/audit")) for _ in range(4)]
        slowest = 0.0
        while not all(audit.done() for audit in audits):
            began = time.monotonic()
            self.assertEqual((await get_once(server.internal_port, "/metrics")).status, 200)
            slowest = max(slowest, time.monotonic() - began)
            peak = max(peak, resident_bytes(server.pid))
            await asyncio.sleep(0.05)
        answers = [audit.result() for audit in audits]
        self.report(
            f"four audits of 300,000 accounts: {(peak - before) / _MIB:.0f} MiB more, the slowest /metrics {slowest * 1000:.0f} ms, "
            f"answers {[answer.status for answer in answers]}")
        self.assertEqual(sorted(answer.status for answer in answers), [200, 429, 429, 429])
        self.assertLess(peak - before, 48 * _MIB)
        self.assertLess(slowest, 1)
        refused = next(answer for answer in answers if answer.status == 429)
        self.assertIn("one audit at a time", refused.json()["detail"])
        whole = next(answer for answer in answers if answer.status == 200).json()
        self.assertEqual((whole["clean"], whole["accounts"]), (True, 300_000))

    async def is_folded(self, server) -> bool:
        metrics = (await get_once(server.internal_port, "/metrics")).body.decode()
        return any(line.startswith("kontor_unfolded_bytes") and float(line.split()[-1]) == 0 for line in metrics.splitlines())
