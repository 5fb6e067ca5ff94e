"""Callers with the real binary: tokens made, used, rotated under load and revoked, and strangers in great numbers."""

import asyncio
import base64
import hashlib
import os
import secrets

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import BINARY, run_program

# Requests of strangers; 1,000,000 take a quarter of an hour.
_STRANGERS = int(os.environ.get("KONTOR_STRANGERS", 20_000))
_SECONDS = 30


class CallerTests(ServerCase):
    async def token(self, *words, revoke: str = "") -> str:
        """What `kontor token` prints."""
        command = ["revoke", revoke] if revoke else ["new", *words]
        code, output = await run_program(_SECONDS, BINARY, "token", *command, "--auth", self.scratch("tokens"))
        self.assertEqual(code, 0, output)
        return output.strip()

    async def closed_server(self):
        """A shop that asks who one is, and an operator's token."""
        operator = await self.token("--name", "operator", "--scopes", "read,orders,payments,admin,metrics,operate")
        server = self.new_server()
        server.environment = {"KONTOR_AUTH": str(self.scratch("tokens"))}
        server.spawn()
        self.asker = Client(server.port)
        self.addCleanup(self.asker.close)

        async def serves():
            server.assert_runs()
            return (await self.asker.get("/health/ready")).status == 200

        await eventually(serves, "a shop that is ready")
        return server, operator

    async def ask(self, method: str, path: str, token: str, **headers):
        """Asks as who bears the token."""
        return await self.asker.request(method, path, {"Authorization": f"Bearer {token}", **headers})

    async def until(self, token: str, status: int):
        """Waits until the shop has read the tokens again."""
        async def is_so():
            return (await self.ask("GET", "/stock/find/none", token)).status == status

        await eventually(is_so, f"{status} for a token")

    async def test_a_token_is_rotated_under_load_and_no_request_is_lost(self):
        server, operator = await self.closed_server()
        item = (await self.ask("POST", "/stock/item/create/5", operator)).json()["item_id"]
        current = [await self.token("--name", "backend", "--scopes", "read")]
        await self.until(current[0], 404)
        ended, statuses = asyncio.Event(), {}

        async def load():
            while not ended.is_set():
                answer = await self.ask("GET", f"/stock/find/{item}", current[0])
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

        tasks = [asyncio.create_task(load()) for _ in range(8)]
        for _ in range(3):
            old, new = current[0], await self.token("--name", "backend", "--scopes", "read")
            await self.until(new, 404)
            current[0] = new
            # What was asked with the old one is answered before that is revoked.
            before = sum(statuses.values())
            await eventually(lambda: sum(statuses.values()) > before + len(tasks), "answers with the new token")
            await self.token(revoke=hashlib.sha256(old.encode()).hexdigest())
            await self.until(old, 401)
        ended.set()
        await asyncio.gather(*tasks)
        self.report(f"three rotations under load: {statuses}")
        self.assertEqual(set(statuses), {200})

    async def test_no_stranger_gets_in_however_often_he_tries(self):
        server, operator = await self.closed_server()
        item = (await self.ask("POST", "/stock/item/create/5", operator)).json()["item_id"]
        gone = await self.token("--name", "gone", "--scopes", "read,admin")
        await self.until(gone, 404)
        await self.token(revoke="gone")
        await self.until(gone, 401)
        random = self.seeded_random()

        def part(data: bytes) -> str:
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        def strange() -> str:
            wrong = operator[:-1] + ("A" if operator[-1] != "A" else "B")
            header = random.choice(['{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"ES256"}', '{"alg":"RS256"}'])
            claims = '{"sub":"1","exp":9999999999,"scope":"admin"}'
            return random.choice([
                "", "Bearer", f"Bearer {gone}", f"Bearer {wrong}", f"Basic {operator}", f"Bearer kontor_{secrets.token_urlsafe(32)}",
                f"Bearer {operator} ", f"Bearer  {operator}x", "Bearer " + "x" * random.randrange(1, 5_000),
                f"Bearer {part(header.encode())}.{part(claims.encode())}.{part(secrets.token_bytes(64))}", f"Bearer {part(header.encode())}..",
            ])

        left, statuses = [_STRANGERS], {}

        async def try_it():
            client = Client(server.port, connections=1)
            self.addCleanup(client.close)
            while left[0] > 0:
                left[0] -= 1
                value = strange()
                # Blanks around a token are no part of it.
                expected = 200 if value.strip() == f"Bearer {operator}" else 401
                answer = await client.post(f"/stock/add/{item}/1", {"Authorization": value} if value else {})
                self.assertEqual(answer.status, expected, f"{value[:200]}: {answer}")
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

        await asyncio.gather(*(try_it() for _ in range(16)))
        found = await self.ask("GET", f"/stock/find/{item}", operator)
        self.assertEqual(found.json()["stock"], statuses.get(200, 0))
        self.report(f"{_STRANGERS} requests of strangers: {statuses}")

    async def test_two_callers_do_not_meet_under_one_key(self):
        server, _ = await self.closed_server()
        tokens = [await self.token("--name", name, "--scopes", "payments,read") for name in ("one", "other")]
        for token in tokens:
            await self.until(token, 404)

        async def signed_up(token: str):
            return await self.ask("POST", "/payment/create_user", token, **{"Idempotency-Key": "signup-1"})

        made = [await signed_up(token) for token in tokens]
        again = await signed_up(tokens[0])
        self.assertNotEqual(made[0].json(), made[1].json())
        self.assertEqual((again.json(), again.headers.get("idempotent-replayed")), (made[0].json(), "true"))

    async def test_the_token_file_says_what_was_asked_for_and_nothing_else(self):
        first = await self.token("--name", "first", "--scopes", "read")
        path = self.scratch("tokens")
        before = path.read_text()
        for words in (
            ["--name", "c", "--scopes", "read", "--user", "42\nmallory admin sha256:" + "0" * 64 + " never"],
            ["--name", "c\nm admin sha256:" + "0" * 64 + " never\n#", "--scopes", "read"], ["--name", "#a", "--scopes", "read"],
            ["--name", "c", "--scopes", "read admin"], ["--name", "c", "--scopes", "read,admin", "--user", "1"],
        ):
            code, output = await run_program(_SECONDS, BINARY, "token", "new", *words, "--auth", path)
            self.assertNotEqual(code, 0, f"{words}: {output}")
            self.assertEqual(path.read_text(), before, words)
        self.assertNotIn(first, before)
        code, output = await run_program(_SECONDS, BINARY, "token", "list", "--auth", self.scratch("nowhere"))
        self.assertNotEqual(code, 0, output)

    async def test_commands_on_one_token_file_wait_for_each_other_and_leave_it_its_owner(self):
        path = self.scratch("tokens")
        path.write_text("# made by hand\n")
        os.chown(path, 65534, 65534)
        path.chmod(0o640)
        link = self.scratch("link")
        link.symlink_to(path)
        await asyncio.gather(*(self.token("--name", f"n{number}", "--scopes", "read") for number in range(20)))
        await asyncio.gather(*(self.token(revoke=f"n{number}") for number in range(10)),
                             *(self.token("--name", f"m{number}", "--scopes", "read") for number in range(10)))
        code, output = await run_program(_SECONDS, BINARY, "token", "revoke", "n19", "--auth", link)
        self.assertEqual(code, 0, output)
        names = {line.split()[0] for line in path.read_text().splitlines() if not line.startswith("#")}
        self.assertEqual(names, {f"n{number}" for number in range(10, 19)} | {f"m{number}" for number in range(10)})
        found = path.stat()
        self.assertEqual((found.st_uid, found.st_mode & 0o777, link.is_symlink()), (65534, 0o640, True))

    async def test_an_empty_option_does_not_open_the_shop(self):
        for words, environment in ((["--auth", ""], {}), (["--trusted-proxies", ","], {}), ([], {"KONTOR_AUTH": ""})):
            code, output = await run_program(
                _SECONDS, BINARY, "serve", *words, "--port", 0, "--internal-port", 0, "--data", self.scratch("data"),
                environment=environment)
            self.assertEqual(code, 64, output)
            self.assertIn("is empty", output)
