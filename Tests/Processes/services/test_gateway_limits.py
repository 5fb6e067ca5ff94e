"""What the gateway lets one client have: all, unless limits are set. Past a limit 429 with nothing begun; health is answered."""

import asyncio
import os
import subprocess
from unittest import mock

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.running.services import SERVICES, gateway_files
from Tests.Processes.services import test_gateway

WRITE, PATIENT = "/stock/add/a/1", {"Request-Timeout-Ms": "20000"}


class GatewayLimitTests(ServerCase):
    gateway, behave, seen = (getattr(test_gateway.GatewayTests, name) for name in ("gateway", "behave", "seen"))

    async def limited(self, **settings) -> Client:
        """A gateway with these settings (GATEWAY_...), in front of two replicas of each service."""
        with mock.patch.dict(os.environ, {f"GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}):
            return await self.gateway()

    async def until_refused(self, client: Client, method: str, path: str, headers: dict = None) -> tuple:
        """Asks without a pause until it is told 429; that answer, and those before it."""
        answers = []

        async def is_refused():
            answers.append(await client.request(method, path, headers))
            return answers[-1].status == 429

        await eventually(is_refused, "a refusal", pause=0)
        return answers[-1], answers[:-1]

    def assert_refused(self, answer: Answer, what: str):
        problem = answer.json()
        self.assertEqual((answer.status, answer.problem, problem["status"]), (429, "caller-limit", 429), str(answer))
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertIn(f"may have {what} here", problem["detail"])

    async def held(self, client: Client, number: int, headers: dict = None) -> list:
        """So many writes that have reached their service, and wait there for `released`. Later ones are answered."""
        self.behave("stock", "wait", "wait")
        tasks = [asyncio.create_task(client.post(WRITE, {**PATIENT, **(headers or {})})) for _ in range(number)]
        await eventually(lambda: len(self.seen("stock")) == number, f"{number} requests at the service")
        for fake in self.fakes["stock"]:
            fake.behaviour = "ok"
        return tasks

    async def released(self, tasks: list) -> list:
        for fake in self.fakes["stock"]:
            fake.released.set()
        return [answer.status for answer in await asyncio.gather(*tasks)]

    async def test_past_a_limit_of_requests_none_reaches_a_service(self):
        client = await self.limited(limit_requests=1)
        self.behave("stock", "ok", "ok")
        done = 0
        for method, path, headers in (
            ("POST", WRITE, {}), ("POST", WRITE, PATIENT), ("GET", "/stock/find/a", {}), ("GET", "/stock/find/a", PATIENT),
            ("POST", "/stock/batch_init/1/1/1", {}),
        ):
            refusal, others = await self.until_refused(client, method, path, headers)
            self.assert_refused(refusal, "1 requests a second")
            self.assertEqual({answer.status for answer in others} - {200}, set())
            done += len(others)
        self.assertEqual(len(self.seen("stock")), done, "what was refused is neither begun nor sent again")
        self.assert_refused((await self.until_refused(client, "GET", "/docs"))[0], "1 requests a second")

    async def test_past_a_limit_of_connections_who_is_served_goes_on(self):
        client = await self.limited(limit_connections=2)
        waiting = await self.held(client, 2)
        for _ in range(5):
            for method, path, headers in (("POST", WRITE, {}), ("POST", WRITE, PATIENT), ("GET", "/payment/find_user/a", {})):
                self.assert_refused(await client.request(method, path, headers), "2 requests at once")
        self.assertEqual((len(self.seen("stock")), self.seen("payment")), (2, []))
        self.assertEqual(await self.released(waiting), [200, 200])
        self.assertEqual((await client.post(WRITE)).status, 200, "a place that is free again can be had")

    async def test_health_is_answered_past_every_limit(self):
        client = await self.limited(limit_requests=1, limit_connections=1)
        [waiting] = await self.held(client, 1)
        refusal, _ = await self.until_refused(client, "POST", WRITE)
        self.assert_refused(refusal, "1 requests a second and 1 requests at once")
        for path in ("/health/live", "/health/ready"):
            self.assertEqual([(await client.get(path)).status for _ in range(20)], [200] * 20, path)
        self.assertEqual(await self.released([waiting]), [200])

    async def test_a_second_copy_is_not_counted(self):
        client = await self.limited(limit_requests=1, limit_connections=1)
        self.behave("stock", 429, 429)
        refusal, others = await self.until_refused(client, "POST", WRITE)
        self.assert_refused(refusal, "1 requests a second and 1 requests at once")
        self.assertEqual({(answer.status, answer.problem) for answer in others} - {(504, "outcome-unknown")}, set())
        self.assertEqual(len(self.seen("stock")), 3 * len(others), "a first copy and two of the second one")

    async def test_one_client_has_one_limit_and_another_one_his_own(self):
        client = await self.limited(limit_connections=1, trusted_proxies="127.0.0.1,10.0.0.0/8")
        for one, same, other in (
            ("192.0.2.1", "198.51.100.9, 192.0.2.1, 10.1.2.3", "192.0.2.2"),
            ("2001:db8:1:2::1", "2001:db8:1:2:a:b:c:d", "2001:db8:1:3::1"), ("2001:db8::1", "2001:db8::a:b:c:d", "2001:db8:1::1"),
        ):
            waiting = await self.held(client, 1, {"X-Forwarded-For": one})
            self.assert_refused(await client.post("/payment/pay/a/1", {"X-Forwarded-For": same}), "1 requests at once")
            self.assertEqual((await client.post("/payment/pay/a/1", {"X-Forwarded-For": other})).status, 200, other)
            self.assertEqual(await self.released(waiting), [200])
            for fake in self.fakes["stock"]:
                fake.released.clear()

    async def test_who_is_no_proxy_does_not_say_who_he_is(self):
        client = await self.limited(limit_connections=1)
        waiting = await self.held(client, 1, {"X-Forwarded-For": "192.0.2.1"})
        self.assert_refused(await client.post(WRITE, {"X-Forwarded-For": "192.0.2.2"}), "1 requests at once")
        self.assertEqual(await self.released(waiting), [200])

    async def test_without_limits_nothing_is_refused(self):
        await self.limited()
        client = Client(self.port, connections=300)
        self.addCleanup(client.close)
        waiting = await self.held(client, 300)
        self.assertEqual(set(await self.released(waiting)), {200})
        self.assertEqual((self.scratch("gateway") / "limits.conf").read_text(), "", "nginx has nothing more to do")

    def test_a_limit_that_is_no_number_is_refused_at_the_start(self):
        for name in ("GATEWAY_LIMIT_REQUESTS", "GATEWAY_LIMIT_CONNECTIONS"):
            for value in ("x", "-1", "1.5", "08", "10000000"):
                with mock.patch.dict(os.environ, {name: value}), self.assertRaises(subprocess.CalledProcessError, msg=value):
                    gateway_files.write_configuration(
                        self.scratch("gateway"), 8000, 8009, {name: ["127.0.0.1:9"] for name in SERVICES})
