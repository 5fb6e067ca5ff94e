"""docker-compose.yml from a clean clone: it sells, each container is killed under load and nothing is lost, and only the gateway can be
reached from the host, each Redis only by its own service."""

import tempfile
from pathlib import Path

from Tests.Deploy.compose import Compose
from Tests.Deploy.podman import clean_clone
from Tests.Deploy.stack_case import StackCase
from Tests.kontor_testing.http_client import BearerClient, Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import run

SERVICES = ("order", "payment", "stock")
# From a kill to the first good answers of all kinds, with the restart that the engine makes.
_GOOD_AGAIN_SECONDS = 20


class ComposeCase(StackCase):
    """A stack from a clean clone."""

    files = ("docker-compose.yml",)
    environment = {}

    @classmethod
    def new_stack(cls) -> Compose:
        scratch = tempfile.TemporaryDirectory(prefix="kontor-clone-")
        cls.addClassCleanup(scratch.cleanup)
        return Compose(cls.podman, clean_clone(Path(scratch.name)), f"kontor-{cls.__name__.lower()}", cls.files, cls.environment)


class ComposeTests(ComposeCase):
    def can_connect(self, container: str, address: str, port: int) -> bool:
        """From inside of a container that has bash."""
        code, _ = run("podman", "exec", container, "timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}",
                      environment=self.podman.environment, check=False, seconds=30)
        return code == 0

    def address(self, container: str, network: str) -> str:
        networks = self.podman.inspect(container)["NetworkSettings"]["Networks"]
        return networks[f"{self.stack.project}_{network}"]["IPAddress"]

    async def test_1_it_sells_from_a_clean_clone(self):
        things = await self.sold_something(self.stack.client())
        client = self.stack.client()
        self.assertEqual((await client.get(f"/stock/find/{things['item']}")).json()["stock"], 1)
        self.assertEqual((await client.get(f"/payment/find_user/{things['user']}")).json()["credit"], 10)
        self.assertTrue((await client.get(f"/orders/find/{things['order']}")).json()["paid"])
        self.assertEqual((await client.get("/health/ready")).status, 200)
        await self.assert_clean_audit(self.stack)

    async def test_2_there_are_two_of_each_service_and_all_take_part(self):
        client = self.stack.client()
        for _ in range(20):
            await self.sold_something(client)
        for service in SERVICES:
            replicas = self.stack.containers(service)
            self.assertEqual(len(replicas), 2)
        upstreams = self.podman("exec", self.stack.containers("gateway")[0], "cat", "/tmp/gateway/upstreams.conf")
        for service in SERVICES:
            for replica in self.stack.containers(service):
                self.assertIn(f"{self.address(replica, 'shop')}:8000", upstreams)

    async def test_3_nothing_but_the_gateway_is_published(self):
        published = {
            (container["Names"][0], port["host_port"], port["host_ip"]) for container in self.podman.json("ps")
            for port in container.get("Ports") or []}
        [gateway] = self.stack.containers("gateway")
        self.assertEqual(published, {(gateway, self.stack.port, "127.0.0.1")})
        # And as the system has it: what its rules send on to containers.
        rules = [line for line in run("iptables", "-t", "nat", "-S")[1].splitlines() if "--to-destination" in line]
        addresses = {f"{network['IPAddress']}:" for name in self.stack.containers()
                     for network in self.podman.inspect(name)["NetworkSettings"].get("Networks", {}).values() if network["IPAddress"]}
        ours = [line for line in rules if any(f"--to-destination {address}" in line for address in addresses)]
        self.assertEqual({line.split("--to-destination ")[1].split(":")[1] for line in ours}, {"8000"}, ours)
        self.assertEqual({line.split("--dport ")[1].split()[0] for line in ours}, {str(self.stack.port)}, ours)

    async def test_4_the_gateway_routes_nothing_internal(self):
        client = self.stack.client()
        for path in ("/metrics", "/audit", "/internal", "/orders/../metrics", "/orders/%2e%2e/audit"):
            answer = await client.get(path)
            self.assertEqual((answer.status, answer.problem), (404, "unknown-route"), f"{path}: {answer}")

    async def test_5_each_redis_is_reached_by_its_own_service_alone(self):
        for store in SERVICES:
            [redis] = self.stack.containers(f"redis-{store}")
            address = self.address(redis, f"store-{store}")
            self.assertTrue(self.can_connect(self.stack.containers(store)[0], address, 6379), f"{store} does not reach its store")
            for other in ("gateway", *(name for name in SERVICES if name != store)):
                self.assertFalse(self.can_connect(self.stack.containers(other)[0], address, 6379), f"{other} reaches {redis}")

    async def test_6_passwords_are_asked_for_and_no_process_has_them_in_its_words_or_environment(self):
        words = []
        for container in self.stack.containers():
            description = self.podman.inspect(container)
            pid = description["State"]["Pid"]
            if pid:
                words.append(Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text())
            words.append(str(description["Config"]))
        secrets = [self.podman("run", "--rm", "--network", "none", "-v", f"{self.stack.project}_{volume}:/s:ro", "debian:bookworm-slim",
                               "sh", "-c", "cat /s/*").strip() for volume in ("secret-shop", *(f"secret-{name}" for name in SERVICES))]
        self.assertEqual(len(set(secrets)), 4)
        for secret in secrets:
            self.assertRegex(secret, "^[0-9a-f]{48}$")
            self.assertFalse(any(secret in text for text in words))
        [redis] = self.stack.containers("redis-stock")
        self.assertIn("NOAUTH", self.podman("exec", redis, "redis-cli", "dbsize"))
        self.assertIn("NOPERM", self.podman("exec", redis, "redis-cli", "--user", "health", "--pass", "none", "dbsize"))
        self.assertIn("WRONGPASS", self.podman("exec", redis, "redis-cli", "--user", "kontor", "--pass", "x", "dbsize"))

    async def test_7_every_container_is_killed_and_nothing_is_lost(self):
        lasting = [name for name, service in self.stack.services.items() if service.get("restart") == "always"]
        containers = self.stack.containers(*lasting)
        self.assertEqual(len(containers), 10)
        await self.kill_each(containers, _GOOD_AGAIN_SECONDS)

    async def test_8_what_is_started_again_is_the_same_shop(self):
        """All of it goes away, but not its volumes: passwords and data are those of before, and `init` finds nothing to do."""
        client = self.stack.client()
        order = (await self.sold_something(client))["order"]
        client.close()
        self.stack.command("down", "-t", "20", seconds=180)
        self.assertEqual(self.stack.containers(), [])
        self.stack.start()
        self.assertIn("Nothing to do", self.podman("logs", self.stack.containers("init")[0]))
        client = Client(self.stack.port)
        answer = await client.get(f"/orders/find/{order}")
        self.assertTrue(answer.status == 200 and answer.json()["paid"], str(answer))
        await self.sold_something(client)
        await self.assert_clean_audit(self.stack)


class SmallComposeTests(ComposeCase):
    environment = {"KONTOR_REPLICAS": "1", "GATEWAY_LIMIT_REQUESTS": "1000", "GATEWAY_LIMIT_CONNECTIONS": "50"}

    async def test_one_of_each_sells(self):
        limits = self.podman("exec", self.stack.containers("gateway")[0], "cat", "/tmp/gateway/limits.conf")
        self.assertIn("rate=1000r/s;", limits)
        self.assertIn("limit_conn limited_connections 50;", limits)
        text = (self.stack.directory / "env/small.env").read_text()
        self.assertIn("KONTOR_REPLICAS=1\n", text)
        self.assertEqual([len(self.stack.containers(service)) for service in SERVICES], [1, 1, 1])
        await self.sold_something(self.stack.client())
        await self.assert_clean_audit(self.stack)


class ClosedComposeTests(ComposeCase):
    files = ("docker-compose.yml", "docker-compose.closed.yml")
    environment = {"KONTOR_SHOP_NETWORK": "172.31.108.0/24"}

    @classmethod
    def new_stack(cls) -> Compose:
        stack = super().new_stack()
        # What `up` waits for does not end well while nobody has made a token.
        code, output = stack.command("run", "--rm", "token", check=False)
        assert code != 0 and "cannot be read" in output, output
        cls.tokens = {name: cls.token(stack, "new", "--name", name, "--scopes", scopes) for name, scopes in (
            ("backend", "read,orders,payments"), ("back-office", "admin,read,orders,payments"))}
        return stack

    @staticmethod
    def token(stack: Compose, *words) -> str:
        """The command of docker-compose.closed.yml's head; its last line."""
        return stack.command("run", "--rm", "token", *words)[1].strip().splitlines()[-1].strip()

    def bearer(self, name: str) -> BearerClient:
        client = BearerClient(self.stack.port, self.tokens[name])
        self.addCleanup(client.close)
        return client

    async def test_1_who_has_no_token_gets_nothing_and_who_has_one_what_it_opens(self):
        things = await self.sold_something(self.bearer("back-office"))
        path = f"/orders/find/{things['order']}"
        answer = await self.stack.client().get(path)
        self.assertEqual((answer.status, answer.problem), (401, "token-needed"))
        self.assertTrue((await self.bearer("backend").get(path)).json()["paid"])
        answer = await self.bearer("backend").post(f"/payment/add_funds/{things['user']}/5")
        self.assertEqual((answer.status, answer.problem), (403, "forbidden"))
        self.assertEqual((await self.stack.client().get("/health/ready")).status, 200)
        await self.assert_clean_audit(self.stack)

    async def test_2_the_gateway_is_believed_and_nobody_outside_of_its_network(self):
        """It stamps each write: where it is not named, that is refused."""
        for container in self.stack.containers(*SERVICES):
            self.assertIn("KONTOR_TRUSTED_PROXIES=172.31.108.0/24", self.podman.inspect(container)["Config"]["Env"])
        [gateway] = self.stack.containers("gateway")
        address = self.podman.inspect(gateway)["NetworkSettings"]["Networks"][f"{self.stack.project}_shop"]["IPAddress"]
        self.assertTrue(address.startswith("172.31.108."), address)
        things = await self.sold_something(self.bearer("back-office"))
        # A replica that dies with a write: its second copy is taken, too.
        client = self.bearer("back-office")
        for container in self.stack.containers("stock"):
            self.podman.crash(container)
            self.assertEqual((await client.post(f"/stock/add/{things['item']}/1")).status, 200)
            await eventually(lambda: self.podman.is_healthy(container), f"the health of {container}", pause=0.2)

    async def test_3_a_token_that_is_made_or_revoked_counts_without_a_restart(self):
        self.tokens["new"] = self.token(self.stack, "new", "--name", "new", "--scopes", "read")

        def has(status: int):
            async def answers():
                # Each replica reads the file by itself.
                found = [(await self.bearer("new").get(path)).status for path in (
                    "/stock/find/none", "/payment/find_user/none", "/orders/find/none") for _ in range(4)]
                return set(found) == {status}
            return answers

        await eventually(has(404), "good answers to the new token")
        self.assertIn("1 token is revoked", self.token(self.stack, "revoke", "new"))
        await eventually(has(401), "refusals of the token that is gone")
