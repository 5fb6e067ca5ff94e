"""The gateway before a real shop: what comes through it is answered as without it, and what nginx says by itself is a problem."""

import asyncio
import contextlib
import os
from unittest import mock

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Answer
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.running.services import SERVICES
from Tests.Processes.services.test_gateway import Nginx

CHUNK = "4000\r\n" + "x" * 0x4000 + "\r\n"


async def said(port: int, text: str) -> Answer:
    """The first answer to these bytes, on a connection of their own; 100 is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode("latin-1"))
    head = b"HTTP/1.1 100 "
    while head.startswith(b"HTTP/1.1 100 "):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    first, *rest = head.decode().rstrip().split("\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
    body = await asyncio.wait_for(reader.readexactly(int(fields["content-length"])), 10)
    writer.close()
    await writer.wait_closed()
    return Answer(int(first.split(" ")[1]), fields, body)


class GatewayEdgeTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("nginx")
        self.server = await self.started_server()
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.port = free_port()
        self.nginx = Nginx(
            self.scratch("gateway"), self.port, {name: [f"127.0.0.1:{self.server.port}"] for name in SERVICES})
        self.nginx.spawn()
        self.addCleanup(self.nginx.stop)

        async def serves():
            self.nginx.assert_runs()
            try:
                return (await said(self.port, "GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n")).status == 200
            except OSError:
                return False

        await eventually(serves, "an answer through the gateway")

    async def both(self, text: str) -> list:
        """Status and problem of the shop's own answer, and of that through the gateway."""
        return [(answer.status, answer.problem) for answer in [await said(port, text) for port in (self.server.port, self.port)]]

    async def test_a_bad_key_or_deadline_is_refused_through_the_gateway_as_without_it(self):
        item = (await self.client.post("/stock/item/create/5")).json()["item_id"]
        order = (await self.client.post(f"/orders/create/{(await self.client.post('/payment/create_user')).json()['user_id']}"))
        for method, path in (
            ("POST", f"/stock/add/{item}/1"), ("DELETE", f"/orders/remove/{order.json()['order_id']}"), ("POST", "/payment/create_user"),
            ("POST", "/stock/batch_init/1/1/1"),
        ):
            for headers in (
                ["Idempotency-Key: a", "Idempotency-Key: b"], ["Idempotency-Key: a", "Idempotency-Key: a"], ["Idempotency-Key:"],
                ["Idempotency-Key: \t"], ["Idempotency-Key: a, b"], ["Request-Timeout-Ms: 100", "Request-Timeout-Ms: 30000"],
                ["Request-Timeout-Ms: x"], ["Request-Timeout-Ms:"],
            ):
                text = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: h", "Content-Length: 0", *headers, "", ""])
                self.assertEqual(await self.both(text), [(400, "malformed-request")] * 2, text)
        self.assertEqual((await self.client.get(f"/stock/find/{item}")).json()["stock"], 0)

    async def test_white_space_around_values_is_no_part_of_them(self):
        item = (await self.client.post("/stock/item/create/5")).json()["item_id"]
        for number, headers in enumerate((["Idempotency-Key: %s \t"], ["Content-Length: 2 "], ["Request-Timeout-Ms: 400\t "])):
            text = "\r\n".join([f"POST /stock/add/{item}/1 HTTP/1.1", "Host: h"] + [
                header.replace("%s", f"k-{number}") for header in headers] + ["", "{}" if "Content" in headers[0] else ""])
            self.assertEqual(await self.both(text), [(200, None)] * 2, text)

    async def test_a_client_of_http_1_0_needs_no_host(self):
        for path, expected in (("/health/ready", (200, None)), ("/health/live", (200, None)), ("/docs", (200, None)),
                               ("/stock/find/none", (404, "unknown-item")), ("/orders/find/none", (404, "unknown-order"))):
            self.assertEqual(await self.both(f"GET {path} HTTP/1.0\r\n\r\n"), [expected] * 2, path)
        text = "POST /orders/checkout/none HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual(await self.both(text), [(404, "unknown-order")] * 2)

    async def test_readiness_does_not_depend_on_the_clients_headers(self):
        for header in ("X: y", "Idempotency-Key: a b", "Expect: 100-continue"):
            text = f"GET /health/ready HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n"
            self.assertEqual(await self.both(text), [(200, None)] * 2, text)
        text = "GET /health/ready HTTP/1.1\r\nHost: h\r\nRequest-Timeout-Ms: x\r\n\r\n"
        self.assertEqual(await self.both(text), [(400, "malformed-request")] * 2)
        text = "GET /health/ready HTTP/1.1\r\nHost: a@b\r\n\r\n"
        self.assertEqual(await self.both(text), [(400, "malformed-http")] * 2)

    async def test_what_nginx_says_by_itself_is_a_problem_and_no_5xx_if_nothing_was_begun(self):
        post = "POST /stock/add/a/1 HTTP/1.1\r\nHost: h\r\n"
        for text, status, problem in (
            ("GET /health/live HTTP/2.0\r\nHost: h\r\n\r\n", 400, "malformed-http"),
            ("POST /orders/checkout/a HTTP/3.0\r\nHost: h\r\n\r\n", 400, "malformed-http"),
            (post + "Transfer-Encoding: gzip\r\n\r\n", 400, "malformed-http"),
            (post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "malformed-http"),
            (post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, "malformed-http"),
            (post + "Content-Length: x\r\n\r\n", 400, "malformed-http"),
            (post + "Host: h\r\n\r\n", 400, "malformed-http"),
            ("POST /stock/add/a/1 HTTP/1.1\r\n\r\n", 400, "malformed-http"),
            ("POST /stock/add/%zz/1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed-http"),
            ("post /stock/add/a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed-http"),
            ("TRACE /health/ready HTTP/1.1\r\nHost: h\r\n\r\n", 405, "wrong-method"),
            ("PROPFIND /health/live HTTP/1.1\r\nHost: h\r\n\r\n", 405, "wrong-method"),
            ("GET /health/ready HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n", 413, "body-too-large"),
            (post + "Transfer-Encoding: chunked\r\n\r\n" + CHUNK * 5, 413, "body-too-large"),
            ("GET /stock/find/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed-http"),
            (post.replace("add/a", "batch_init/1/1") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed-http"),
            ("GET /health/ready HTTP/1.1\r\nHost: h\r\nX: " + "x" * 20_000 + "\r\n\r\n", 431, "headers-too-large"),
            ("GET /health/ready?" + "x" * 20_000 + " HTTP/1.1\r\nHost: h\r\n\r\n", 414, "path-too-long"),
        ):
            answer = await said(self.port, text)
            self.assertEqual((answer.status, answer.problem), (status, problem), f"{text[:100]}: {answer}")
            self.assertEqual(answer.json()["status"], status)
        # Some releases of nginx take it for malformed, others for a method that they do not have.
        answer = await said(self.port, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn((answer.status, answer.problem), ((400, "malformed-http"), (405, "wrong-method")))

    async def test_pages_are_the_same_through_the_gateway(self):
        for path in ("/", "/docs", "/openapi.json", "/problems", "/problems/out-of-stock", "/problems/malformed-http"):
            own, through = [await said(port, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n") for port in (self.server.port, self.port)]
            self.assertEqual((own.status, own.body), (through.status, through.body), path)
            self.assertEqual(own.headers.get("location"), through.headers.get("location"))
            self.assertIn(own.status, (200, 302), path)
        self.assertEqual((await said(self.port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")).headers["location"], "/docs")
        self.assertEqual(await self.both("POST /problems/contended HTTP/1.1\r\nHost: h\r\n\r\n"), [(405, "wrong-method")] * 2)
        self.assertEqual(await self.both("GET /problems/none HTTP/1.1\r\nHost: h\r\n\r\n"), [(404, "unknown-route")] * 2)

    async def test_a_browser_is_told_through_the_gateway_what_it_is_told_without_it(self):
        user = (await self.client.post("/payment/create_user")).json()["user_id"]
        for host, headers, expected in (
            ("127.0.0.1:{port}", ["Origin: http://127.0.0.1:{port}"], 200), ("localhost:{port}", ["Origin: http://localhost:{port}"], 200),
            ("127.0.0.1:{port}", ["Origin: http://127.0.0.1:1"], 403), ("127.0.0.1:{port}", ["Origin: null"], 403),
            ("127.0.0.1:{port}", ["Sec-Fetch-Site: same-site"], 403), ("evil.example:{port}", [], 403),
            ("evil.example", ["Origin: http://evil.example"], 403), ("SHOP.example:80", ["Origin: http://shop.example"], 403),
        ):
            for port in (self.server.port, self.port):
                lines = [f"POST /payment/add_funds/{user}/5 HTTP/1.1", "Host: " + host, "Content-Length: 0", *headers, "", ""]
                answer = await said(port, "\r\n".join(lines).replace("{port}", str(port)))
                self.assertEqual(answer.status, expected, f"{host} {headers} at {port}: {answer}")

    async def test_a_name_that_is_allowed_leads_through_the_gateway(self):
        # As deploy/gateway/configure gets it in containers.
        with mock.patch.dict(os.environ, {"GATEWAY_ALLOWED_HOSTS": "shop.example,other.example"}):
            allowing = Nginx(self.scratch("allowing"), port := free_port(), {name: ["127.0.0.1:9"] for name in SERVICES})
        allowing.spawn()
        self.addCleanup(allowing.stop)

        async def answers():
            with contextlib.suppress(OSError):
                return await said(port, "GET /stock/find/x HTTP/1.1\r\nHost: h\r\n\r\n")

        await eventually(answers, "an answer of the gateway")
        for host, expected in (
            ("shop.example", 503), ("SHOP.example:8000", 503), ("other.example", 503), ("shopxexample.com", 403), ("a.shop.example", 403),
            ("shop.example.evil", 403), ("10.0.0.1", 503), ("[::1]:80", 503), ("localhost", 503),
        ):
            answer = await said(port, f"GET /stock/find/x HTTP/1.1\r\nHost: {host}\r\n\r\n")
            self.assertEqual(answer.status, expected, f"{host}: {answer}")
