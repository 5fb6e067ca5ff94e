"""`kontor health`, which container runtimes ask, and the settings that containers give: passwords in files, stores from the environment."""

import asyncio

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import run_kontor


class HealthTests(ServerCase):
    async def test_health_is_0_while_the_shop_serves_and_1_when_it_is_gone(self):
        server = await self.started_server()
        environment = {"KONTOR_HOST": "0.0.0.0", "KONTOR_PORT": str(server.port)}
        for arguments in ([], ["--live"], ["--host", "localhost", "--port", server.port]):
            self.assertEqual((await run_kontor("health", *arguments, environment=environment))[0], 0, arguments)
        server.kill()
        code, output = await run_kontor("health", environment=environment)
        self.assertEqual(code, 1, output)
        self.assertIn("No answer", output)

    async def test_health_is_1_for_who_is_not_ready_or_hangs(self):
        async def answer(reader, writer):
            request = await reader.readuntil(b"\r\n\r\n")
            if b"/health/live" in request:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            elif not self.hangs:
                writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")
            else:
                # Until who asked gives up.
                await reader.read()
            writer.close()

        self.hangs = False
        port = free_port()
        server = await asyncio.start_server(answer, "127.0.0.1", port)
        self.addCleanup(server.close)
        code, output = await run_kontor("health", "--port", port)
        self.assertEqual((code, "503" in output), (1, True), output)
        self.assertEqual((await run_kontor("health", "--port", port, "--live"))[0], 0)
        self.hangs = True
        code, output = await run_kontor("health", "--port", port, seconds=20)
        self.assertEqual(code, 1, output)

    async def test_passwords_in_files_belong_to_the_stores_in_their_order(self):
        good, empty = self.scratch("good"), self.scratch("empty")
        good.write_text("secret\n")
        empty.write_text("\n")
        stores = [f"redis://kontor@127.0.0.1:{free_port()}" for _ in range(3)]
        for options, environment, words in (
            ([], {}, "stores are missing"),
            ([word for store in stores for word in ("--store", store)], {}, "user:password"),
            ([word for store in stores for word in ("--store", store)] + ["--store-password-file", good], {}, "3 stores and 1 file"),
            ([], {"KONTOR_STORE": stores[0], "KONTOR_STORE_PASSWORD_FILE": str(good)}, "names 1 of the three"),
            ([], {"KONTOR_STORE": " ".join(stores), "KONTOR_STORE_PASSWORD_FILE": " ".join([str(empty)] * 3)}, "is empty"),
            ([], {"KONTOR_STORE": " ".join(stores), "KONTOR_STORE_PASSWORD_FILE": " ".join([str(good) + "-none"] * 3)}, "read"),
            ([], {"KONTOR_STORE": " ".join(stores), "KONTOR_STORE_PASSWORD_FILE": " ".join([str(good)] * 3)}, "cannot be reached"),
        ):
            code, output = await run_kontor("init", *options, environment=environment)
            self.assertNotEqual(code, 0, output)
            self.assertIn(words, output)
            self.assertNotIn("secret", output)
