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

    def stamps(self) -> list:
        """Of each request: the id, when its first copy left, and which copy it is."""
        return [tuple(headers.get(f"kontor-{name}") for name in ("request", "sent", "attempt")) for _, headers in self.requests]

    def lines(self) -> list:
        return [line for line, _ in self.requests if "/health/" not in line]

    async def answer(self, method: str, path: str, headers: dict, body: bytes) -> Answer | None:
        self.requests.append((f"{method} {path}", headers))
        if self.behaviour == "die":
            return None
        if self.behaviour == "hang":
            await asyncio.sleep(3_600)
        if self.behaviour == "wait":
            await self.released.wait()
        if self.behaviour == "late":
            await asyncio.sleep(5.1)
            return Answer(
                409, {"content-type": "application/problem+json", "retry-after": "1"}, b'{"type":"/problems/from-the-service"}')
        if self.behaviour in ("ok", "wait"):
            return Answer(200, {"content-type": "application/json"}, b'{"done":true}')
        return Answer(self.behaviour, {"content-type": "application/problem+json"}, b'{"type":"/problems/from-the-service"}')


class Nginx(ManagedProcess):
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
        nginx = Nginx(self.scratch("gateway"), port, addresses)
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

    async def test_all_copies_of_a_write_bear_one_stamp_and_the_clients_key_goes_through(self):
        """The clients' own headers of these names do not."""
        client = await self.gateway()
        forged = {"Kontor-Request": "0" * 32, "Kontor-Sent": "1.000", "Kontor-Attempt": "1"}
        for method, path in (("POST", "/stock/add/a/1"), ("DELETE", "/stock/remove/a")):
            self.behave("stock", "die", "die")
            await client.request(method, path, forged)
            stamps = [stamp for fake in self.fakes["stock"] for stamp in fake.stamps()]
            self.assertEqual(sorted(attempt for _, _, attempt in stamps), ["1", "2", "2"])
            [(request, sent)] = {stamp[:2] for stamp in stamps}
            self.assertRegex(request, r"^[0-9a-f]{32}$")
            self.assertNotEqual(request, "0" * 32)
            self.assertLess(abs(float(sent) - time.time()), 5)
        self.behave("stock", "ok", "ok")
        for number in range(4):
            await client.post("/stock/add/a/1")
            await client.post("/stock/add/a/1", {"Idempotency-Key": f'"own {number}"'})
        keys = [key for fake in self.fakes["stock"] for key in fake.keys()]
        self.assertEqual(sorted(key or "" for key in keys), [""] * 4 + [f'"own {number}"' for number in range(4)])
        stamps = [stamp for fake in self.fakes["stock"] for stamp in fake.stamps()]
        self.assertEqual((len({request for request, _, _ in stamps}), {attempt for _, _, attempt in stamps}), (8, {"1"}))
        self.behave("order", "ok", "ok")
        self.behave("payment", "ok", "ok")
        await client.request("GET", "/orders/find/a", forged)
        await client.post("/payment/status/a/b", forged)
        for service in ("order", "payment"):
            self.assertEqual([stamp for fake in self.fakes[service] for stamp in fake.stamps()], [(None, None, None)], service)
        await client.post("/orders/batch_init/1/1/1/1", forged)
        [stamp] = [stamp for fake in self.fakes["order"] for stamp in fake.stamps() if stamp[0]]
        self.assertEqual(stamp[2], "1")

    async def test_two_keys_and_an_empty_key_reach_the_service_as_they_came(self):
        """So the service refuses them, as it does without a gateway."""
        await self.gateway(replicas=1)
        [fake] = self.fakes["stock"]
        for headers in (["Idempotency-Key: a", "Idempotency-Key: b"], ["Idempotency-Key:"]):
            seen = []
            fake.raw_head = seen.append
            await self._raw("POST", "/stock/add/a/1", {}, more=headers)
            [head] = seen
            self.assertEqual([line for line in head if line.lower().startswith("idempotency-key:")], [
                f"{line} " if line.endswith(":") else line for line in headers], head)

    async def test_a_second_copy_is_told_how_long_it_may_take(self):
        """Its deadline is short, so that the client's wait stays bounded; a shorter one of the client's own stays."""
        client = await self.gateway(replicas=1)
        [fake] = self.fakes["order"]
        for own, second in ((None, "2500"), ("30000", "2500"), ("300", "300"), ("2499", "2499")):
            self.behave("order", 503)
            await client.post("/orders/checkout/a", {"Request-Timeout-Ms": own} if own else {})
            self.assertEqual(
                [headers.get("request-timeout-ms") for _, headers in fake.requests], [own, second], own)

    async def test_a_refusal_behind_the_deadline_arrives(self):
        """A contended withdrawal is told so by the service at its deadline, with Retry-After."""
        client = await self.gateway()
        for fake in self.fakes["stock"]:
            fake.behaviour = "late"
        answer = await client.post("/stock/subtract/a/1")
        self.assertEqual((answer.status, answer.problem), (409, "from-the-service"), str(answer))
        self.assertEqual(answer.headers.get("retry-after"), "1")

    async def test_who_is_told_that_nobody_knows_is_told_what_to_do(self):
        client = await self.gateway(replicas=1)
        for method, path, headers, advice in (
            ("POST", "/payment/add_funds/a/1", {}, "Look before you repeat it"),
            ("POST", "/payment/add_funds/a/1", {"Idempotency-Key": "k"}, "Repeat the same request under the same"),
            ("POST", "/orders/checkout/a", {}, "Check the order out again"),
            ("DELETE", "/orders/remove/a", {}, "Look before you repeat it"),
            ("POST", "/stock/batch_init/1/1/1", {}, "it completes what was begun"),
        ):
            self.behave("payment", "die"), self.behave("order", "die"), self.behave("stock", "die")
            answer = await client.request(method, path, headers)
            self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), str(answer))
            self.assertIn(advice, answer.json()["detail"])

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

    async def test_a_replica_that_hangs_is_given_up_behind_the_deadline(self):
        client = await self.gateway()
        for method, path in (("GET", "/orders/find/a"), ("POST", "/orders/checkout/a"), ("POST", "/orders/create/a")):
            self.behave("order", "hang", "ok")
            started = time.monotonic()
            answers = await asyncio.gather(*(client.request(method, path) for _ in range(4)))
            self.assertEqual([answer.status for answer in answers], [200] * 4, list(map(str, answers)))
            self.assertLess(time.monotonic() - started, 5 if method == "GET" else 9)
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
        for status in (400, 404, 405, 409, 422, 424, 500):
            self.behave("stock", status)
            answer = await client.post("/stock/add/a/1")
            self.assertEqual((answer.status, answer.problem), (status, "from-the-service"), str(answer))
            self.assertEqual(len(self.seen("stock")), 1, "it is not asked again")
        for status in (429, 502, 503, 504):
            self.behave("stock", status)
            answer = await client.post("/stock/add/a/1")
            self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), f"the second copy says {status}: {answer}")
        for status in (400, 404, 409, 422, 424, 429):
            self.behave("stock", status)
            answer = await client.get("/stock/find/a")
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
            ("GET", "/nothing", None, 404, "unknown-route"), ("GET", "/metrics", None, 404, "unknown-route"),
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

    async def _raw(self, method: str, path: str, headers: dict, more: list = ()) -> Answer:
        """One request on a connection of its own, without a body whatever its headers say."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {path} HTTP/1.1", "Connection: close"] + ([] if "Host" in headers else ["Host: shop"])
        lines += [f"{name}: {value}" for name, value in headers.items()] + list(more)
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
