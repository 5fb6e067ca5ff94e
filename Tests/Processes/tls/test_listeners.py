"""P7: both listeners over TLS, what they refuse, certificates that are replaced while the shop sells, and what a start refuses."""

import asyncio
import os
import re
import socket
import ssl

from Tests.kontor_testing.http_client import Answer, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.remembering.shop import Shop
from Tests.Processes.tls.case import TLSCase, client_context, say, shake_hands

_FUZZ_ROUNDS = 300
_HANGS_UP = (ssl.SSLError, ConnectionError)


class ListenerTests(TLSCase):
    async def test_both_listeners_serve_over_tls_1_3_and_1_2(self):
        server = await self.secure_server(self.authority.sign("shop"))
        for version, name in ((ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
            context = client_context(self.authority, version=version)
            for port, path in ((server.port, "/health/live"), (server.internal_port, "/metrics")):
                answer = await get_once(port, path, tls=context)
                self.assertEqual(answer.status, 200, f"{name} {path}: {answer}")
                agreed = await shake_hands(port, context)
                self.assertEqual((agreed.version(), agreed.selected_alpn_protocol()), (name, "http/1.1"))
        self.assertEqual((await shake_hands(server.port, self.trusting)).version(), "TLSv1.3", "preferred")
        await self.sold_something(server.client())
        await self.assert_clean_audit(server)

    async def test_old_versions_and_plain_http_are_refused_without_harm(self):
        server = await self.secure_server(self.authority.sign("shop"))
        for port in (server.port, server.internal_port):
            for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
                with self.assertRaises(_HANGS_UP):
                    await shake_hands(port, client_context(self.authority, version=version))
            answer = await say(port, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertNotIn(b"HTTP/1.1", answer)
        await self.logged(server, "A connection without good TLS is refused", "listener=public", "no TLS of version 1.2")
        await self.logged(server, "A connection without good TLS is refused", "listener=internal", "HTTP without TLS")
        page = (await get_once(server.internal_port, "/metrics", tls=self.trusting)).body.decode()
        self.assertIn('kontor_tls_handshakes_failed_total{listener="public",reason="no_tls"} 1', page)
        self.assertIn('kontor_tls_handshakes_failed_total{listener="public",reason="old_version"} 2', page)
        await self.sold_something(server.client())

    async def test_noise_and_handshakes_that_are_cut_leave_a_shop_that_serves(self):
        server = await self.secure_server(self.authority.sign("shop"))
        random = self.seeded_random()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            session.do_handshake()
        hello = outgoing.read()
        files = len(os.listdir(f"/proc/{server.pid}/fd"))

        async def disturb(number: int):
            data = bytearray(hello)
            kind = number % 4
            if kind == 0:
                data = bytearray(random.randbytes(random.randrange(1, 2_000)))
            elif kind == 1:
                del data[random.randrange(1, len(data)):]
            else:
                for _ in range(random.randrange(1, 8)):
                    data[random.randrange(len(data))] = random.randrange(256)
                if kind == 3:
                    data += random.randbytes(random.randrange(1, 20_000))
            await say(random.choice((server.port, server.internal_port)), bytes(data), hangs_up=True)

        for start in range(0, _FUZZ_ROUNDS, 20):
            await asyncio.gather(*(disturb(number) for number in range(start, start + 20)))
        server.assert_runs()
        await self.sold_something(server.client())
        await eventually(
            lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= files + 8, "the end of the connections that were disturbed", 20)
        await self.assert_clean_audit(server)

    async def test_a_handshake_that_never_ends_is_ended(self):
        server = await self.secure_server(self.authority.sign("shop"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01")
        self.assertEqual(await asyncio.wait_for(reader.read(), 15), b"", "the server hangs up")
        writer.close()
        await self.logged(server, "did not end the handshake of TLS within 10 s")

    async def test_a_large_answer_and_many_requests_in_one_record_come_whole(self):
        """The document is larger than a record of TLS; and a record holds more requests than one read without TLS."""
        server = await self.secure_server(self.authority.sign("shop"))
        document = await get_once(server.port, "/openapi.json", tls=self.trusting)
        self.assertGreater(len(document.body), 20_000)
        self.assertIn("paths", document.json())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=self.trusting)
        requests = b"GET /stock/find/x HTTP/1.1\r\nHost: x\r\n\r\n" * 400
        self.assertLess(len(requests), 16_384)
        writer.write(requests)
        answers = b""
        while answers.count(b"/problems/unknown-item") < 400:
            piece = await asyncio.wait_for(reader.read(65_536), 20)
            if not piece:
                break
            answers += piece
        self.assertEqual((answers.count(b"HTTP/1.1 404"), answers.count(b"HTTP/1.1 ")), (400, 400))
        writer.close()


class RotationTests(TLSCase):
    async def test_certificates_are_replaced_under_load_and_no_request_is_lost(self):
        pair = self.authority.sign("shop")
        server = await self.secure_server(pair)
        shop = Shop(server.client(16))
        item, user = await shop.create_item(100, 1_000_000), await shop.create_user(1_000_000_000)
        old = await asyncio.open_connection("127.0.0.1", server.port, ssl=self.trusting)
        is_over = False
        statuses = []

        async def sell():
            while not is_over:
                # A connection of its own: it gets the certificate of its moment.
                answer = await get_once(server.port, f"/stock/find/{item}", tls=self.trusting)
                statuses.append(answer.status if isinstance(answer, Answer) else answer)
                statuses.append((await shop.checkout(await shop.order_of(user, {item: 1}))).status)

        sellers = [asyncio.create_task(sell()) for _ in range(8)]
        try:
            for number in range(3):
                serial = _serial(await shake_hands(server.port, self.trusting))
                pair.replace_by(self.authority.sign(f"renewed-{number}"))

                async def is_new():
                    return _serial(await shake_hands(server.port, self.trusting)) != serial

                await eventually(is_new, "the new certificate", seconds=10, pause=0.1)
        finally:
            is_over = True
            await asyncio.gather(*sellers)
        self.assertEqual(set(statuses), {200}, statuses)
        self.assertGreater(len(statuses), 50)
        # A connection from before the first renewal goes on.
        reader, writer = old
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b"200 OK", await asyncio.wait_for(reader.readuntil(b"\r\n"), 10))
        writer.close()
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(server)

    async def test_a_bad_pair_is_told_and_the_old_one_stays(self):
        pair = self.authority.sign("shop")
        server = await self.secure_server(pair)
        serial = _serial(await shake_hands(server.port, self.trusting))
        pair.key.write_bytes(self.authority.sign("other").key.read_bytes())
        line = await self.logged(server, "The certificates have changed and cannot be used; those of before stay")
        self.assertIn("ERROR", line)
        self.assertIn("does not belong to the certificate", line)
        self.assertEqual(_serial(await shake_hands(server.port, self.trusting)), serial)
        pair.replace_by(self.authority.sign("renewed"))
        await self.logged(server, "The certificates have changed, and were read again")
        self.assertNotEqual(_serial(await shake_hands(server.port, self.trusting)), serial)

    async def test_the_end_is_a_metric_and_is_warned_of(self):
        async def end(server) -> int:
            page = (await get_once(server.internal_port, "/metrics", tls=self.trusting)).body.decode()
            return int(float(re.search(r"^kontor_tls_certificate_end_seconds ([\d.e+]+)$", page, re.MULTILINE).group(1)))

        fresh = await self.secure_server(self.authority.sign("fresh", days=30))
        soon = await self.secure_server(self.authority.sign("soon", days=13))
        line = await self.logged(soon, "The certificate ends soon")
        self.assertRegex(line, "days=1[23] ")
        self.assertNotIn("ends soon", fresh.log())
        self.assertAlmostEqual(await end(fresh) - await end(soon), 17 * 86_400, delta=60)
        await asyncio.sleep(2.5)
        self.assertEqual(soon.log().count("ends soon"), 1, "once a day")


def _serial(agreed: ssl.SSLObject) -> str:
    return agreed.getpeercert()["serialNumber"]


class StartTests(TLSCase):
    async def test_what_cannot_be_used_is_refused_with_what_to_do(self):
        good, other = self.authority.sign("good"), self.authority.sign("other")
        expired = self.authority.sign("expired", days=-1, age=3)
        none = self.scratch("none.pem")
        for options, words in (
            (expired.options, ["has expired on", "renew it"]),
            (self.authority.sign("early", age=-1).options, ["is not valid before", "clock"]),
            (["--tls-cert", good.certificate, "--tls-key", other.key], ["does not belong to the certificate", "one renewal"]),
            (["--tls-cert", none, "--tls-key", good.key], ["none.pem cannot be read", "Kontor's user may read"]),
            (["--tls-cert", good.key, "--tls-key", good.key], ["has no certificate in PEM form"]),
            (["--tls-cert", good.certificate], ["needs --tls-key"]),
            (["--tls-key", good.key], ["needs --tls-cert"]),
            ([*good.options, "--tls-client-ca", self.authority.certificate], ["need --service"]),
            (["--tls-ca", self.authority.certificate], ["need --service"]),
        ):
            code, output = await run_kontor(
                "serve", "--data", self.scratch("data"), "--port", free_port(), "--internal-port", free_port(), *options)
            self.assertNotEqual(code, 0, output)
            for word in words:
                self.assertIn(word, output)

    async def test_health_and_bench_ask_over_tls(self):
        pair = self.authority.sign("shop")
        server = await self.secure_server(pair)
        settings = {"KONTOR_PORT": str(server.port), "KONTOR_TLS_CERT": str(pair.certificate)}
        foreign = self.scratch("foreign.pem")
        foreign.write_bytes(self.authority.self_signed("foreign").certificate.read_bytes())
        trusted, plain = ["--ca", self.authority.certificate], {"KONTOR_PORT": str(server.port)}
        for arguments, environment, expected, words in (
            ([], settings, 0, "Ready."), (["--tls"], plain, 0, "Ready."), (trusted, plain, 0, "Ready."),
            ([*trusted, "--host", "localhost"], plain, 0, "Ready."), (["--ca", foreign], plain, 1, "No answer"), ([], plain, 1, "No answer"),
        ):
            code, output = await run_kontor("health", *arguments, environment=environment)
            self.assertEqual((code, words in output), (expected, True), f"{arguments}: {output}")
        code, output = await run_kontor(
            "bench", "checkout", "--port", server.port, "--internal-port", server.internal_port, *trusted, "--orders", 20_000,
            "--warm-up", 0, "--duration", 1, "--connections", 8)
        self.assertEqual(code, 0, output)
        self.assertIn("The books balance.", output)
        self.report(output)
        code, output = await run_kontor(
            "bench", "find", "--port", server.port, "--ca", foreign, "--no-initialize", "--no-audit", "--duration", 1)
        self.assertEqual((code, "TLS" in output), (2, True), output)

    async def secure_server_of(self, pair):
        server = self.new_server()
        server.extra = pair.options
        server.tls = ssl._create_unverified_context()
        await server.start()
        return server

    async def test_a_client_that_refuses_the_certificate_is_told_of(self):
        server = await self.secure_server_of(self.authority.self_signed("foreign"))

        def connect(port: int, version: ssl.TLSVersion):
            # asyncio hangs up without a word.
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                client_context(self.authority, version=version).wrap_socket(plain, server_hostname="localhost")

        for port, version, words in (
            (server.port, ssl.TLSVersion.TLSv1_2, "does not know who signed"),
            (server.internal_port, ssl.TLSVersion.TLSv1_3, "as clients do that refuse"),
        ):
            with self.assertRaises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(connect, port, version)
            await self.logged(server, "A connection without good TLS is refused", words)
