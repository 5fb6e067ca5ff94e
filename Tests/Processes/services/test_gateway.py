"""The gateway before services that are made of nothing: what it repeats and what not, and what it says by itself."""

import asyncio
import resource
import time

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.loopback_server import LoopbackServer
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.running.processes import ManagedProcess
from Tests.kontor_testing.running.services import SERVICES, gateway_files


class FakeService(LoopbackServer):
    """Notes each request, and does with it what `behaviour` says: ok, wait (for `released`), die, hang, or a status."""

    def __init__(self):
        super().__init__(free_port())
        self.behaviour = "ok"
        self.released = asyncio.Event()
        self.requests = []

    def keys(self) -> list:
        return [headers.get("idempotency-key") for _, headers in self.requests]

    def lines(self) -> list:
        return [line for line, _ in self.requests if "/health/" not in line]

    async def answer(self, method: str, path: str, headers: dict) -> Answer | None:
        self.requests.append((f"{method} {path}", headers))
        if self.behaviour == "die":
            return None
        if self.behaviour == "hang":
            await asyncio.sleep(3_600)
        if self.behaviour == "wait":
            await self.released.wait()
        if self.behaviour in ("ok", "wait"):
            return Answer(200, {"content-type": "application/json"}, b'{"done":true}')
        return Answer(self.behaviour, {"content-type": "application/problem+json"}, b'{"type":"/problems/from-the-service"}')


class _Nginx(ManagedProcess):
    def __init__(self, directory, port: int, replicas: dict):
        super().__init__("gateway", directory.with_suffix(".log"))
        self._path = gateway_files.write_configuration(directory, port, free_port(), replicas)

    def command(self) -> list:
        return gateway_files.command(self._path)


class GatewayTests(ServerCase):
    async def gateway(self, replicas: int = 2) -> Client:
        self.require("nginx")
        self.fakes = {name: [FakeService() for _ in range(replicas)] for name in SERVICES}
        for fakes in self.fakes.values():
            for fake in fakes:
                await fake.start()
                self.addCleanup(fake.kill)
        port = free_port()
        self.port = port
        addresses = {name: [f"127.0.0.1:{fake.port}" for fake in fakes] for name, fakes in self.fakes.items()}
        nginx = _Nginx(self.scratch("gateway"), port, addresses)
        nginx.spawn()
        self.addCleanup(nginx.stop)
        client = Client(port)
        self.addCleanup(client.close)

        async def answers():
            nginx.assert_runs()
            return isinstance(await client.get("/"), Answer)

        await eventually(answers, "an answer of the gateway")
        return client

    def behave(self, service: str, *behaviours):
        for fake, behaviour in zip(self.fakes[service], behaviours):
            fake.behaviour = behaviour
            fake.requests = []

    def seen(self, service: str) -> list:
        """What all its replicas got."""
        return [line for fake in self.fakes[service] for line in fake.lines()]

    async def test_what_may_be_repeated_is_repeated_on_another_replica(self):
        client = await self.gateway()
        for failure in ("die", 502, 503, 429):
            for service, method, path in (
                ("order", "GET", "/orders/find/a"), ("order", "POST", "/orders/checkout/a"), ("order", "POST", "/orders/create/a"),
                ("order", "DELETE", "/orders/remove/a"), ("stock", "POST", "/stock/add/a/1"), ("payment", "POST", "/payment/pay/a/1"),
            ):
                # Whichever is asked first, somebody is asked who fails: at least once in these.
                for behaviours in ((failure, "ok"), ("ok", failure)):
                    self.behave(service, *behaviours)
                    for _ in range(4):
                        answer = await client.request(method, path)
                        self.assertEqual(answer.status, 200, f"{method} {path}, {behaviours}: {answer}")
        self.behave("order", "ok", "ok")

    async def test_a_write_gets_one_key_for_all_its_repetitions_and_the_clients_own_goes_through(self):
        client = await self.gateway()
        self.behave("stock", "die", "die")
        await client.post("/stock/add/a/1")
        keys = {key for fake in self.fakes["stock"] for key in fake.keys()}
        self.assertGreater(len(self.seen("stock")), 1)
        self.assertEqual(len(keys), 1, keys)
        self.assertRegex(keys.pop(), r"^gw-[0-9a-f]{32}$")
        self.behave("stock", "ok", "ok")
        for number in range(4):
            await client.post("/stock/add/a/1")
            await client.post("/stock/add/a/1", {"Idempotency-Key": f'"own {number}"'})
        keys = [key for fake in self.fakes["stock"] for key in fake.keys()]
        self.assertEqual(len(set(keys)), 8, keys)
        self.assertEqual(sum(key.startswith("gw-") for key in keys), 4, keys)
        self.behave("order", "ok", "ok")
        for method, path in (("GET", "/orders/find/a"), ("POST", "/orders/checkout/a")):
            await client.request(method, path)
        await client.post("/orders/checkout/a", {"Idempotency-Key": "own"})
        await client.post("/payment/status/a/b")
        await client.post("/stock/batch_init/1/1/1")
        self.assertEqual(
            sorted(str(key) for fake in self.fakes["order"] for key in fake.keys()), ["None", "None", "own"])
        self.assertEqual([key for fake in self.fakes["payment"] for key in fake.keys()], [None])

    async def test_batch_init_is_sent_once(self):
        client = await self.gateway()
        for path in ("/orders/batch_init/1/1/1/1", "/stock/batch_init/1/1/1", "/payment/batch_init/1/1"):
            service = {"orders": "order"}.get(path.split("/")[1], path.split("/")[1])
            self.behave(service, "die", "die")
            answer = await client.post(path)
            self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), str(answer))
            self.assertEqual(len(self.seen(service)), 1)
            self.behave(service, 503, 503)
            answer = await client.post(path)
            self.assertEqual((answer.status, len(self.seen(service))), (503, 1), str(answer))

    async def test_a_replica_that_hangs_is_given_up_within_the_deadline(self):
        client = await self.gateway()
        for method, path in (("GET", "/orders/find/a"), ("POST", "/orders/checkout/a"), ("POST", "/orders/create/a")):
            self.behave("order", "hang", "ok")
            started = time.monotonic()
            answers = await asyncio.gather(*(client.request(method, path) for _ in range(4)))
            self.assertEqual([answer.status for answer in answers], [200] * 4, list(map(str, answers)))
            self.assertLess(time.monotonic() - started, 5)
        self.behave("order", "hang", "hang")
        answers = await asyncio.gather(client.get("/orders/find/a"), client.post("/orders/checkout/a"))
        self.assertEqual([answer.problem for answer in answers], ["read-unavailable", "outcome-unknown"])

    async def test_a_patient_client_is_waited_for(self):
        """Its Request-Timeout-Ms is 8 s, and the service takes 6."""
        client = await self.gateway(replicas=1)
        [fake] = self.fakes["order"]
        fake.behaviour = "hang"
        request = asyncio.create_task(client.post("/orders/checkout/a", {"Request-Timeout-Ms": 8_000}))
        impatient = asyncio.create_task(client.post("/orders/checkout/b"))
        answer = await impatient
        self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), str(answer))
        await asyncio.sleep(0.5)
        self.assertFalse(request.done(), "the gateway did not wait")
        fake.kill()
        answer = await request
        self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), str(answer))

    async def test_more_requests_are_on_their_way_at_once_than_a_process_may_usually_have_files(self):
        """A thousand checkouts at once lost half of their connections where the limit was 1,024, as it is in most shells."""
        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
        try:
            await self.gateway(replicas=1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        [fake] = self.fakes["order"]
        fake.behaviour = "wait"
        client = Client(self.port, connections=400)
        self.addCleanup(client.close)
        checkouts = [asyncio.create_task(client.post(f"/orders/checkout/{number}")) for number in range(400)]
        await eventually(lambda: len(fake.lines()) >= 400 or any(task.done() for task in checkouts), "the arrival of all requests")
        fake.released.set()
        self.assertEqual({answer.status for answer in await asyncio.gather(*checkouts)}, {200})

    async def test_an_answer_of_a_service_is_passed_on_as_it_is(self):
        client = await self.gateway(replicas=1)
        for status in (400, 404, 409, 422, 424, 429, 500, 503, 504):
            self.behave("stock", status)
            answer = await client.post("/stock/add/a/1")
            self.assertEqual((answer.status, answer.problem), (status, "from-the-service"), str(answer))

    async def test_a_service_that_is_back_is_found_within_2_s(self):
        for replicas in (1, 2):
            client = await self.gateway(replicas)
            for fake in self.fakes["stock"]:
                fake.kill()
            for _ in range(20):
                answer = await client.get("/stock/find/a")
                self.assertEqual((answer.status, answer.problem), (503, "read-unavailable"), str(answer))
                self.assertEqual(answer.headers.get("retry-after"), "1")
            for fake in self.fakes["stock"]:
                await fake.start()

            async def is_found():
                return (await client.get("/stock/find/a")).status == 200

            await eventually(is_found, "the gateway's finding the service", 2)

    async def test_the_gateways_own_errors_are_problems(self):
        client = await self.gateway(replicas=1)
        for fake in self.fakes["order"]:
            fake.kill()
        for method, path, headers, status, problem in (
            ("GET", "/", None, 404, "unknown-route"), ("GET", "/metrics", None, 404, "unknown-route"),
            ("GET", "/audit", None, 404, "unknown-route"), ("POST", "/internal/ledger", None, 404, "unknown-route"),
            ("GET", "/_payment_and_stock_ready", None, 404, "unknown-route"),
            ("GET", "/_problem/malformed", None, 404, "unknown-route"), ("GET", "/ordersx", None, 404, "unknown-route"),
            ("GET", "/orders/../audit", None, 404, "unknown-route"), ("TRACE", "/orders/find/a", None, 405, "wrong-method"),
            ("GET", "/orders/find/a", None, 503, "read-unavailable"), ("DELETE", "/orders/remove/a", None, 504, "outcome-unknown"),
            ("POST", "/orders/checkout/a", None, 504, "outcome-unknown"), ("GET", "/health/ready", None, 503, "not-ready"),
            ("GET", "/health/live", None, 503, "read-unavailable"),
            ("POST", "/stock/add/a/1", {"Content-Length": 70_000}, 413, "body-too-large"),
            ("GET", "/stock/find/" + "a" * 20_000, None, 414, "path-too-long"),
            ("GET", "/stock/find/a", {"X": "a" * 20_000}, 431, "headers-too-large"),
            ("GET", "/stock/find/a", {"Host": "a b\x01"}, 400, "malformed-http"),
        ):
            answer = await self._raw(method, path, headers or {})
            self.assertEqual((answer.status, answer.problem), (status, problem), f"{method} {path[:40]}: {answer}")
            self.assertEqual(answer.json()["status"], status)
        self.assertIsInstance(client, Client)

    async def _raw(self, method: str, path: str, headers: dict) -> Answer:
        """One request on a connection of its own, without a body whatever its headers say."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Connection: close"] + ([] if "Host" in headers else ["Host: shop"])
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        first, *rest = head.decode().rstrip().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
        body = await reader.readexactly(int(fields["content-length"]))
        writer.close()
        return Answer(int(first.split(" ")[1]), fields, body)

    async def test_the_gateway_is_ready_if_all_three_services_are(self):
        client = await self.gateway()
        self.assertEqual((await client.get("/health/ready")).status, 200)
        for service in SERVICES:
            # One of two replicas is enough.
            self.behave(service, 503, "ok")
            self.assertEqual((await client.get("/health/ready")).status, 200, service)
            self.behave(service, 503, 503)
            answer = await client.get("/health/ready")
            self.assertEqual(answer.status, 503, f"{service}: {answer}")
            self.behave(service, "ok", "ok")

            async def is_ready():
                return (await client.get("/health/ready")).status == 200

            await eventually(is_ready, "readiness again", 3)
