"""Three services over Redis behind the gateway: scarce things, and what they refuse to start from. The contract: test_suites.py."""

import asyncio
import contextlib
import re

from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import REPOSITORY, run_kontor
from Tests.kontor_testing.running.services import SERVICES
from Tests.kontor_testing.services_case import ServicesCase
from Tests.Processes.contract import test_consistency


class ServicesConsistencyTests(ServicesCase, test_consistency.ConsistencyTests):
    """Very many who want what is scarce, through the gateway."""

    async def started_server(self, directory=None):
        return await self.started_deployment(replicas=2)


class ServicesTests(ServicesCase):
    async def test_a_new_deployment_sells_its_first_order(self):
        shop = await self.started_deployment()
        client = shop.client()

        things = await self.sold_something(client)
        item, user, order = things["item"], things["user"], things["order"]
        self.assertEqual((await client.get(f"/stock/find/{item}")).json()["stock"], 1)
        self.assertEqual((await client.get(f"/payment/find_user/{user}")).json()["credit"], 10)
        self.assertTrue((await client.get(f"/orders/find/{order}")).json()["paid"])
        await self.assert_clean_audit(shop)

    async def test_operators_pages_need_the_secret_and_are_not_at_the_gateway(self):
        shop = await self.started_deployment()
        for path in (
            "/metrics", "/audit", "/health", "/internal", "/internal/ledger", "/orders/../metrics", "/orders/%2e%2e/metrics",
        ):
            answer = await shop.client().get(path)
            self.assertEqual((answer.status, answer.problem), (404, "unknown-route"), f"{path}: {answer}")
        for service in shop.services:
            client = Client(service.internal_port, connections=1)
            for header in (None, {"Authorization": "Bearer " + "x" * 32}, {"Authorization": shop.secret}):
                answer = await client.request("GET", "/metrics", header)
                self.assertEqual((answer.status, answer.problem), (401, "token-needed"), f"{service}: {answer}")
            answer = await client.request("GET", "/metrics", {"Authorization": f"Bearer {shop.secret}"})
            self.assertEqual(answer.status, 200, f"{service}: {answer}")
            self.assertIn(b"kontor_ready 1", answer.body)

    async def test_a_service_with_another_secret_gets_nothing_done(self):
        """Neither does it what the others ask, nor do they do what it asks."""
        shop = await self.started_deployment()
        client = shop.client()
        item = (await client.post("/stock/item/create/5")).json()["item_id"]
        [stock] = shop.replicas["stock"]
        stock.kill()
        stock.environment = {"KONTOR_SECRET": "another secret of good length"}
        stock.spawn()
        # Requests of its own it serves.
        await eventually(lambda: self._status(client, f"/stock/find/{item}", 200), "the start of the service with another secret")
        self.assertEqual((await client.get("/health/ready")).status, 503)
        user = (await client.post("/payment/create_user")).json()["user_id"]
        order = (await client.post(f"/orders/create/{user}")).json()["order_id"]
        answer = await client.post(f"/orders/addItem/{order}/{item}/1")
        self.assertIn(answer.status, (424, 504), str(answer))
        stock.kill()
        stock.environment = {"KONTOR_SECRET": shop.secret}
        await shop.start()
        answer = await client.post(f"/orders/addItem/{order}/{item}/1")
        self.assertEqual(answer.status, 200, str(answer))

    async def _status(self, client: Client, path: str, status: int) -> bool:
        return (await client.get(path)).status == status

    # What is refused at the start

    async def test_init_writes_once_and_refuses_stores_that_differ(self):
        shop = await self.started_deployment()
        await self.sold_something(shop.client())
        epochs = {server.name: sorted(server.ask("KEYS", "*")) for server in shop.redis_servers}
        await shop.initialize()
        self.assertEqual(epochs, {server.name: sorted(server.ask("KEYS", "*")) for server in shop.redis_servers})
        shop.stores["stock"].ask("FLUSHALL")
        code, output = await run_kontor("init", *shop.store_arguments)
        self.assertEqual(code, 1, output)
        self.assertEqual(shop.stores["stock"].ask("DBSIZE"), 0, "init wrote, though it refused")
        shop.stores["stock"].ask("SET", "something", "else")
        code, output = await run_kontor("init", *shop.store_arguments)
        self.assertEqual(code, 1, output)

    async def test_init_refuses_stores_of_which_one_has_data_of_others(self):
        shop = self.new_deployment()
        await shop.start_stores()
        shop.stores["payment"].ask("SET", "something", "else")
        code, output = await run_kontor("init", *shop.store_arguments)
        self.assertEqual(code, 1, output)
        self.assertEqual([server.ask("DBSIZE") for server in shop.redis_servers], [0, 1, 0])

    async def _assert_does_not_start(self, service, word: str):
        """It ends by itself, with a sentence."""
        service.spawn()
        code = await service.wait_for_exit()
        self.assertNotEqual(code, 0)
        self.assertIn(word, service.log())

    async def test_a_store_without_an_epoch_is_not_served(self):
        shop = self.new_deployment()
        await shop.start_stores()
        for service in shop.services:
            await self._assert_does_not_start(service, "initialized")

    async def test_a_store_that_evicts_or_does_not_sync_is_not_served(self):
        shop = self.new_deployment()
        await shop.start_stores()
        await shop.initialize()
        [order] = shop.replicas["order"]
        for name, wrong, right in (
            ("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendfsync", "everysec", "always"), ("appendonly", "no", "yes"),
            ("no-appendfsync-on-rewrite", "yes", "no"),
        ):
            # Replicas are no reason to do without the disk.
            for replicas in (0, 1):
                order.extra = ["--redis-replicas", replicas]
                shop.stores["order"].ask("CONFIG", "SET", name, wrong)
                await self._assert_does_not_start(order, name)
                shop.stores["order"].ask("CONFIG", "SET", name, right)

    async def test_a_store_of_another_service_is_not_served(self):
        shop = await self.started_deployment()
        stock = shop.replicas["stock"][0]
        stock.kill()
        stock.store_url = shop.stores["payment"].url
        await self._assert_does_not_start(stock, "is that of the service payment")

    async def test_a_user_who_may_not_use_all_commands_is_not_served(self):
        """A script keeps what it wrote before the command that is refused."""
        shop = self.new_deployment()
        await shop.start_stores()
        await shop.initialize()
        [order] = shop.replicas["order"]
        store = shop.stores["order"]
        for command in ("set", "mset", "zadd", "zrem", "del", "zrangebylex", "time"):
            store.ask("ACL", "SETUSER", "kontor", "reset", "on", ">secret", "~*", "&*", "+@all", f"-{command}")
            order.store_url = store.url.replace("redis://", "redis://kontor:secret@")
            await self._assert_does_not_start(order, "refuses a command that the shop needs")

    async def test_the_rights_that_deploy_redis_start_gives_suffice(self):
        text = (REPOSITORY / "deploy/redis/start").read_text()
        rights = re.search(r"user kontor .* ~\* ([^\"]*?)\nmaxmemory", text)[1].replace("\\\n", " ").split()
        shop = self.new_deployment(clusters=("stock",))
        await shop.start_stores()
        for name, store in shop.stores.items():
            for server in store.servers:
                server.ask("ACL", "SETUSER", "kontor", "reset", "on", ">secret", "~*", *rights)
        arguments = [word.replace("redis://", "redis://kontor:secret@") for word in shop.store_arguments]
        code, output = await run_kontor("init", *arguments)
        self.assertEqual(code, 0, output)
        for name, [service] in shop.replicas.items():
            service.store_url = shop.stores[name].url.replace("redis://", "redis://kontor:secret@")
        await shop.start()
        for _ in range(20):
            await self.sold_something(shop.client())
        await self.assert_clean_audit(shop)
        code, output = await run_kontor("audit", *arguments)
        self.assertEqual(code, 0, output)

    async def test_a_start_during_a_failover_waits_for_its_end(self):
        """Found on a3307ad: ten of ten starts ended with 1 within 1.4 s."""
        shop = await self.started_deployment(clusters=("stock",))
        [service], cluster = shop.replicas["stock"], shop.stores["stock"]
        service.kill()
        victim = cluster.masters()[0]
        victim.kill()
        service.spawn()
        await asyncio.sleep(3)
        victim.spawn()
        await eventually(service.answers, f"the readiness of {service}", 30)
        self.assertIn("The start waits for the store", service.log())

    async def test_a_redis_that_comes_back_empty_is_not_served_from_nor_initialized_anew(self):
        """Whoever asks is never told that something is unknown; the service ends, and does not start again."""
        for name, path in (
            ("stock", "/stock/find/{item}"), ("payment", "/payment/find_user/{user}"), ("order", "/orders/find/{order}"),
        ):
            shop = await self.started_deployment()
            client = shop.client()
            things = await self.sold_something(client)
            store, [service] = shop.stores[name], shop.replicas[name]
            store.kill()
            store.wipe()
            await store.start()

            async def has_ended():
                answer = await client.get(path.format(**things))
                self.assertNotEqual(answer.status, 404, f"{service} reads from an empty store")
                return not service.is_running

            await eventually(has_ended, f"the end of {service}, whose store is empty", 10)
            self.assertNotEqual(service.process.returncode, 0)
            await self._assert_does_not_start(service, "initialized")
            code, output = await run_kontor("init", *shop.store_arguments)
            self.assertEqual(code, 1, output)
            self.assertEqual(store.ask("DBSIZE"), 0, "somebody wrote into a store that lost its data")
            shop.stop()

    async def test_a_cluster_of_which_one_master_came_back_empty_is_not_served(self):
        shop = await self.started_deployment(clusters=("stock",))
        [service], cluster = shop.replicas["stock"], shop.stores["stock"]
        client = shop.client()
        item = (await self.sold_something(client))["item"]
        # A master without its replica, so that nobody has its data.
        victim = cluster.masters()[0]
        lost = [victim] + [
            server for server in cluster.servers
            if f"master_port:{victim.port}" in server.ask("INFO", "replication")]
        self.assertEqual(len(lost), 2)
        for server in lost:
            server.kill()
        for server in lost:
            # The node stays the same one in its cluster.
            nodes = (server.directory / "nodes.conf").read_bytes()
            server.wipe()
            (server.directory / "nodes.conf").write_bytes(nodes)
        await asyncio.gather(*(server.start() for server in lost))

        async def has_ended():
            answer = await client.get(f"/stock/find/{item}")
            self.assertNotEqual(answer.status, 404, f"{service} reads from a store of which a part is empty")
            return not service.is_running

        await eventually(has_ended, f"the end of {service}, whose store has lost a part", 15)
        await eventually(cluster.is_whole, "the cluster's health")
        await self._assert_does_not_start(service, "lost")
        code, output = await run_kontor("init", *shop.store_arguments)
        self.assertEqual(code, 1, output)

    # Replicas

    async def test_what_one_replica_did_each_replica_tells_at_once(self):
        """Direct payments that are made and cancelled, many at a time for one user; the answers of all replicas agree with them."""
        shop = await self.started_deployment(replicas=2)
        client, readers = shop.client(), [Client(replica.port) for replica in shop.replicas["payment"]]
        for replica in shop.replicas["payment"]:
            # The gateway is ready as soon as one of them is; here each is asked.
            await eventually(replica.answers, f"the readiness of {replica}")
        user = (await client.post("/payment/create_user")).json()["user_id"]
        await client.post(f"/payment/add_funds/{user}/100000")

        async def pay_and_cancel():
            for _ in range(100):
                order = (await client.post(f"/orders/create/{user}")).json()["order_id"]
                for action, is_paid in ((f"pay/{user}/{order}/1", True), (f"cancel/{user}/{order}", False)):
                    answer = await client.post(f"/payment/{action}")
                    self.assertEqual(answer.status, 200, f"{action}: {answer}")
                    for reader in readers:
                        found = await reader.get(f"/payment/status/{user}/{order}")
                        self.assertEqual((found.status, found.json()["paid"]), (200, is_paid), f"after {action}: {found}")

        await asyncio.gather(*(pay_and_cancel() for _ in range(8)))
        for reader in readers:
            self.assertEqual((await reader.get(f"/payment/find_user/{user}")).json()["credit"], 100_000)
        await self.assert_clean_audit(shop)

    # The gateway, with real services behind it

    async def test_a_key_of_the_client_goes_through_and_is_remembered(self):
        shop = await self.started_deployment(replicas=2)
        client = shop.client()
        item = (await client.post("/stock/item/create/5")).json()["item_id"]
        key = {"Idempotency-Key": "a-key-of-the-client"}
        answers = [await client.post(f"/stock/add/{item}/3", key) for _ in range(4)]
        self.assertEqual([answer.status for answer in answers], [200] * 4)
        self.assertEqual([answer.headers.get("idempotent-replayed") for answer in answers], [None] + ["true"] * 3)
        self.assertEqual((await client.get(f"/stock/find/{item}")).json()["stock"], 3)
        answer = await client.post(f"/stock/add/{item}/4", key)
        self.assertEqual((answer.status, answer.problem), (422, "idempotency-key-reused"), str(answer))
        unkeyed = [await client.post(f"/stock/add/{item}/1") for _ in range(3)]
        self.assertEqual([answer.headers.get("idempotent-replayed") for answer in unkeyed], [None] * 3)
        self.assertEqual((await client.get(f"/stock/find/{item}")).json()["stock"], 6)

    async def test_a_service_that_is_gone_is_a_424_or_504_for_writes_and_a_503_for_reads_and_ready_tells(self):
        shop = await self.started_deployment()
        client = shop.client()
        paths = {
            "stock": ("/stock/find/x", "/stock/item/create/1"), "payment": ("/payment/find_user/x", "/payment/create_user"),
            "order": ("/orders/find/x", "/orders/create/x")}
        for name in SERVICES:
            [service] = shop.replicas[name]
            service.kill()
            read, write = paths[name]
            answer = await client.get(read)
            self.assertEqual((answer.status, answer.problem), (503, "read-unavailable"), f"{read}: {answer}")
            answer = await client.post(write)
            self.assertEqual((answer.status, answer.problem), (504, "outcome-unknown"), f"{write}: {answer}")
            with contextlib.suppress(AssertionError):
                await eventually(lambda: self._status(client, "/health/ready", 503), "the gateway's not being ready", 5)
            answer = await client.get("/health/ready")
            self.assertEqual((answer.status, answer.problem), (503, "not-ready"), str(answer))
            await service.start()
            await shop.wait_until_ready()
