"""The audit trail with the real binary: an entry is there if and only if its effect is, after kill -9 and over two replicas."""

import asyncio
import json

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import BINARY, run_program
from Tests.kontor_testing.services_case import ServicesCase

_SECONDS = 30
_SCOPES = "read,orders,payments,admin,operate"


class _Trails:
    """What both cases do with a trail."""

    async def new_token(self, name: str) -> str:
        code, output = await run_program(
            _SECONDS, BINARY, "token", "new", "--name", name, "--scopes", _SCOPES, "--auth", self.scratch("tokens"))
        self.assertEqual(code, 0, output)
        return output.strip()

    async def trail(self, port: int, token: str, limit: int) -> list:
        """All entries, page by page."""
        client = Client(port, connections=1)
        self.addCleanup(client.close)
        entries, cursor = [], ""
        while cursor is not None:
            query = f"/trail?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            answer = await client.request("GET", query, {"Authorization": f"Bearer {token}"})
            self.assertEqual(answer.status, 200, str(answer))
            entries += answer.json()["data"]
            cursor = answer.json()["next_cursor"]
        self.assertEqual([entry["time"] for entry in entries], sorted((entry["time"] for entry in entries), reverse=True))
        self.assertEqual(len({entry["id"] for entry in entries}), len(entries))
        return entries


class EmbeddedTrailTests(_Trails, ServerCase):
    async def test_after_kills_each_effect_has_its_entry_and_each_entry_its_effect(self):
        token = await self.new_token("back-office")
        authorization = {"Authorization": f"Bearer {token}"}
        server = self.new_server()
        server.environment = {"KONTOR_AUTH": str(self.scratch("tokens"))}
        await self._serve(server)
        client = Client(server.port)
        item = (await client.request("POST", "/stock/item/create/5", authorization)).json()["item_id"]
        told = 0
        for _ in range(3):
            async def add():
                nonlocal told
                while (await client.request("POST", f"/stock/add/{item}/5", authorization)).status == 200:
                    told += 1

            writers = [asyncio.create_task(add()) for _ in range(8)]
            goal = told + 200
            await eventually(lambda: told >= goal, "200 writes")
            server.kill()
            await asyncio.gather(*writers, return_exceptions=True)
            client.close()
            await self._serve(server)
            client = Client(server.port)
        self.addCleanup(client.close)
        answer = await client.request("POST", "/stock/batch_init/2000/7/1", authorization)
        self.assertEqual(answer.status, 200, str(answer))
        refused = await client.request("POST", f"/stock/subtract/{item}/1000000", authorization)
        self.assertEqual(refused.status, 409, str(refused))

        entries = await self.trail(server.internal_port, token, 200)
        added = [entry for entry in entries if entry["operation"] == "addStock"]
        stock = (await client.request("GET", f"/stock/find/{item}", authorization)).json()["stock"]
        self.report(f"{told} writes acknowledged, {len(added)} entries, a stock of {stock}")
        self.assertEqual(stock, 5 * len(added))
        self.assertGreaterEqual(len(added), told)
        self.assertEqual({(entry["item_id"], entry["principal"], entry["address"], entry["arguments"]["units"]) for entry in added},
                         {(item, "back-office", "127.0.0.1", "5")})
        others = [(entry["operation"], entry.get("item_id"), entry["arguments"]) for entry in entries if entry not in added]
        self.assertEqual(others, [
            ("initItems", None, {"count": "2000", "stock": "7", "price": "1"}), ("createItem", item, {"price": "5"})])
        self.assertIn("A write by an admin or operator", server.log())
        self.assertNotIn(token, server.log())
        unknown = await client.request("GET", "/trail", authorization)
        self.assertEqual(unknown.status, 404, "the public port does not know the trail")
        await self.assert_clean_audit_after_stop(server)

    async def _serve(self, server):
        """Starts a server that asks who one is."""
        async def is_ready():
            server.assert_runs()
            return (await get_once(server.port, "/health/ready")).status == 200

        server.spawn()
        await eventually(is_ready, "the server's being ready")

    async def assert_clean_audit_after_stop(self, server):
        await server.terminate()
        code, output = await run_program(_SECONDS, BINARY, "audit", "--data", server.directory)
        self.assertEqual(code, 0, output)

    async def test_the_command_shows_the_trail_and_says_when_it_is_not_complete(self):
        token = await self.new_token("back-office")
        server = self.new_server()
        server.environment = {"KONTOR_AUTH": str(self.scratch("tokens"))}
        await self._serve(server)
        client = Client(server.port)
        self.addCleanup(client.close)
        authorization = {"Authorization": f"Bearer {token}"}
        item = (await client.request("POST", "/stock/item/create/5", authorization)).json()["item_id"]
        # More than a page has.
        for number in range(450):
            answer = await client.request("POST", f"/stock/add/{item}/{number + 1}", authorization)
            self.assertEqual(answer.status, 200, str(answer))
        (self.scratch("token")).write_text(token + "\n")
        (self.scratch("wrong")).write_text("kontor_wrong\n")

        async def trail(*options):
            return await run_program(_SECONDS, BINARY, "trail", "--internal-port", str(server.internal_port), *options)

        token_file = ("--token-file", str(self.scratch("token")))
        code, output = await trail(*token_file, "--json")
        self.assertEqual(code, 0, output)
        entries = [json.loads(line) for line in output.splitlines()]
        # Those of one millisecond come in any order.
        self.assertEqual(sorted(int(entry["arguments"].get("units", 0)) for entry in entries), list(range(451)))
        times = [entry["time"] for entry in entries]
        self.assertEqual(times, sorted(times, reverse=True))
        code, output = await trail(*token_file, "--days", "1")
        self.assertEqual((code, len(output.splitlines())), (0, 451), output[-500:])
        self.assertRegex(output, rf"(?m)^\S+Z  back-office  127.0.0.1  addStock  item={item}  units=450$")
        for options in ((), ("--token-file", str(self.scratch("wrong")))):
            code, output = await trail(*options)
            self.assertEqual(code, 1, output)
            self.assertIn("The trail is not complete", output)
            self.assertIn("401", output)

    async def test_who_asks_for_more_than_he_may_is_named_in_the_log(self):
        await self.new_token("back-office")
        code, output = await run_program(
            _SECONDS, BINARY, "token", "new", "--name", "viewer", "--scopes", "read", "--auth", self.scratch("tokens"))
        self.assertEqual(code, 0, output)
        server = self.new_server()
        server.environment = {"KONTOR_AUTH": str(self.scratch("tokens"))}
        await self._serve(server)
        self.assertRegex(server.log(), r"Callers are told apart by their tokens jwt-keys=0 tokens=2\n")
        client = Client(server.port)
        self.addCleanup(client.close)
        authorization = {"Authorization": f"Bearer {output.strip()}"}
        for _ in range(500):
            answer = await client.request("POST", "/payment/add_funds/somebody/5?x=1", authorization)
            self.assertEqual(answer.status, 403, str(answer))
        lines = [line for line in server.log().splitlines() if "A caller asked for more than he may" in line]
        self.assertIn('principal=viewer', lines[0])
        self.assertIn('request="POST /payment/add_funds/somebody/5"', lines[0])
        self.assertIn("scope admin", lines[0])
        self.assertLess(len(lines), 10, "a line a second")
        self.assertNotIn(output.strip(), server.log())

    async def test_a_log_that_nobody_reads_does_not_stop_the_shop(self):
        token = await self.new_token("back-office")
        server = self.new_server()
        process = await asyncio.create_subprocess_exec(
            BINARY, "serve", *map(str, server.listening), "--data", str(server.directory), "--auth", str(self.scratch("tokens")),
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, limit=1)

        def stop():
            if process.returncode is None:
                process.kill()

        self.addCleanup(stop)

        async def is_ready():
            return (await get_once(server.port, "/health/ready")).status == 200

        await eventually(is_ready, "the server's being ready")
        client = Client(server.port)
        self.addCleanup(client.close)
        authorization = {"Authorization": f"Bearer {token}"}
        item = (await client.request("POST", "/stock/item/create/5", authorization)).json()["item_id"]
        # A pipe has 64 KiB, and a line some 250 bytes.
        answers = [await client.request("POST", f"/stock/add/{item}/1", authorization) for _ in range(1_500)]
        self.assertEqual({answer.status for answer in answers}, {200})
        process.kill()
        self.assertIn(b"A write by an admin", await process.stderr.read())


class ServicesTrailTests(_Trails, ServicesCase):
    async def test_who_has_had_his_keys_is_told_so_through_the_gateway(self):
        """And not that nobody knows, nor is the write done by another replica (which has a limit of its own)."""
        deployment = self.new_deployment(replicas=2)
        for service in deployment.services:
            service.extra += ["--trusted-proxies", "127.0.0.1", "--caller-keys", "2", "--caller-creations", "1"]
        await deployment.start()
        client = deployment.client()
        user = (await client.post("/payment/create_user")).json()["user_id"]
        created = [await client.post("/payment/create_user") for _ in range(20)]
        self.assertEqual({answer.status for answer in created}, {200, 429}, list(map(str, created)))
        answers = [await client.post(f"/payment/add_funds/{user}/1", {"Idempotency-Key": f"k{number}"}) for number in range(30)]
        done = [answer.status == 200 for answer in answers].count(True)
        self.assertEqual({(answer.status, answer.problem) for answer in answers}, {(200, None), (429, "caller-limit")},
                         list(map(str, answers)))
        again = await client.post(f"/payment/add_funds/{user}/1", {"Idempotency-Key": "k0"})
        self.assertEqual((again.status, again.headers.get("idempotent-replayed")), (200, "true"), str(again))
        self.assertEqual((await client.post(f"/payment/add_funds/{user}/1")).status, 200, "what bears no key is not limited")
        self.assertEqual((await client.get(f"/payment/find_user/{user}")).json()["credit"], done + 1)

    async def test_each_replica_shows_the_entries_of_all(self):
        token = await self.new_token("back-office")
        deployment = self.new_deployment(replicas=2)
        for service in deployment.services:
            service.extra += ["--auth", self.scratch("tokens"), "--trusted-proxies", "127.0.0.1"]
        await deployment.start()
        client = deployment.client()
        authorization = {"Authorization": f"Bearer {token}", "Connection": "keep-alive"}

        async def written(path: str):
            answer = await client.request("POST", path, authorization)
            self.assertEqual(answer.status, 200, f"{path}: {answer}")
            return answer.json()

        items = [(await written("/stock/item/create/5"))["item_id"] for _ in range(20)]
        await asyncio.gather(*(written(f"/stock/add/{item}/3") for item in items for _ in range(5)))
        await written("/stock/batch_init/100/7/1")
        user = (await written("/payment/create_user"))["user_id"]
        await written(f"/payment/add_funds/{user}/7.25")

        pages = [await self.trail(replica.internal_port, token, 50) for replica in deployment.replicas["stock"]]
        self.assertEqual(pages[0], pages[1])
        operations = [entry["operation"] for entry in pages[0]]
        self.assertEqual({name: operations.count(name) for name in operations}, {"initItems": 1, "addStock": 100, "createItem": 20})
        self.assertEqual({entry["item_id"] for entry in pages[0] if entry["operation"] == "addStock"}, set(items))
        [entry] = await self.trail(deployment.replicas["payment"][0].internal_port, token, 50)
        self.assertEqual((entry["operation"], entry["user_id"], entry["arguments"]), ("addFunds", user, {"amount": "7.25"}))
        self.assertEqual(await self.trail(deployment.replicas["order"][0].internal_port, token, 50), [])

        # What cannot be read hides nothing else.
        redis = deployment.stores["stock"]
        partitions = redis.ask("KEYS", "{*}trail")
        self.assertGreater(len(partitions), 10)
        redis.ask("ZADD", partitions[0], "0", b"\x80\x01x")
        for limit in (1, 7, 50):
            self.assertEqual(await self.trail(deployment.replicas["stock"][0].internal_port, token, limit), pages[0])
