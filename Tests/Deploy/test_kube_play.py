"""The pods of both overlays, played by podman: they start as they are rendered, sell, and lose nothing when they are killed."""

import tempfile
from pathlib import Path

from Tests.Deploy.kube import Kube
from Tests.Deploy.stack_case import StackCase
from Tests.kontor_testing.http_client import BearerClient
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import BINARY, run

SERVICES = ("order", "payment", "stock")


class KubeCase(StackCase):
    overlay = None

    @classmethod
    def new_stack(cls) -> Kube:
        return Kube(cls.podman, cls.overlay)

    def has_restarted(self, container: str, restarts: int) -> bool:
        return self.podman.inspect(container)["State"]["Running"]


class MinikubeTests(KubeCase):
    overlay = "minikube"

    async def test_its_pods_sell_and_each_is_killed_once(self):
        await self.sold_something(self.stack.client())
        containers = self.stack.containers("order", "payment", "stock", "gateway", *(f"redis-{name}" for name in SERVICES))
        self.assertEqual(len(containers), 7)
        await self.kill_each(containers, seconds=20)
        await self.assert_clean_audit(self.stack)


class ClosedMinikubeTests(KubeCase):
    @classmethod
    def new_stack(cls) -> Kube:
        scratch = tempfile.TemporaryDirectory(prefix="kontor-tokens-")
        cls.addClassCleanup(scratch.cleanup)
        file = Path(scratch.name) / "tokens"
        cls.token = run(
            BINARY, "token", "new", "--auth", file, "--name", "backend", "--scopes", "read,orders,payments,admin")[1].strip()
        return Kube(cls.podman, "minikube", tokens=file)

    async def test_its_pods_ask_for_tokens_and_sell_to_who_has_one(self):
        client = BearerClient(self.stack.port, self.token)
        things = await self.sold_something(client)
        # Through each service, with the gateway's stamps.
        for path, headers, expected in (
            (f"/orders/checkout/{things['order']}", None, 401), (f"/stock/add/{things['item']}/1", None, 401),
            (f"/payment/add_funds/{things['user']}/1", None, 401), ("/payment/create_user", {"Authorization": "Bearer x"}, 401),
        ):
            self.assertEqual((await self.stack.client().request("POST", path, headers)).status, expected, path)
        self.assertEqual((await self.stack.client().get("/health/ready")).status, 200)
        self.assertEqual((await client.get(f"/stock/find/{things['item']}")).json()["stock"], 1)
        await self.assert_clean_audit(self.stack)


class ClusterTests(KubeCase):
    overlay = "cluster"

    def masters(self, store: str) -> dict:
        """Each master's container, and its role."""
        found = {}
        for container in self.stack.containers(f"redis-{store}"):
            found[container] = "role:master" in self.redis(container, "info", "replication")
        return found

    def redis(self, container: str, *words) -> str:
        return self.podman("exec", container, "sh", "-c",
                           f'REDISCLI_AUTH=$(cat /run/secrets/redis/admin) redis-cli --user admin --no-auth-warning {" ".join(words)}')

    def is_whole(self, store: str) -> bool:
        nodes = self.stack.containers(f"redis-{store}")
        return all("cluster_state:ok" in self.redis(node, "cluster", "info") for node in nodes) and all(
            "state=online" in self.redis(node, "info", "replication") for node, is_master in self.masters(store).items() if is_master)

    async def test_1_three_masters_and_three_replicas_of_each_store_sell(self):
        for store in SERVICES:
            self.assertEqual(sorted(self.masters(store).values()), [False] * 3 + [True] * 3)
        for _ in range(20):
            await self.sold_something(self.stack.client())
        await self.assert_clean_audit(self.stack)

    async def test_1b_replicas_follow_as_a_user_who_can_do_nothing_else(self):
        for store in SERVICES:
            for container, is_master in self.masters(store).items():
                if is_master:
                    self.assertIn(" user=replication ", self.redis(container, "client", "list", "type", "replica"))

    async def test_2_what_is_made_once_can_be_made_again(self):
        for workload in self.stack.manifests.workloads:
            if workload.name in ("redis-cluster", "init"):
                code, output = self.stack.run_job(workload)
                self.assertEqual(code, 0, output)
                self.assertRegex(output, "Nothing to do|is a cluster already")

    async def test_3_a_master_and_a_replica_of_each_service_are_killed(self):
        victims = []
        for store in SERVICES:
            victims.append(next(container for container, is_master in self.masters(store).items() if is_master))
            victims.append(self.stack.containers(store)[0])
        await self.kill_each(victims, seconds=40)
        for store in SERVICES:
            await eventually(lambda: self.is_whole(store), f"the health of the cluster of {store}", pause=0.2)

    async def test_4_all_nodes_of_a_store_come_back_with_other_addresses(self):
        """As after a night without machines: nobody is where the others remember it."""
        order = (await self.sold_something(self.stack.client()))["order"]
        nodes = self.stack.containers("redis-order")
        before = {node: self.redis(node, "cluster", "myid") for node in nodes}
        pods = [node.removesuffix("-redis") for node in nodes]
        infras = {pod: self.podman.json("pod", "inspect", pod)["InfraContainerID"] for pod in pods}
        for pod in pods:
            self.podman("pod", "stop", "-t", "30", pod)
        for pod in pods:
            self.podman("network", "disconnect", self.stack.network, infras[pod])
        # In another order, so that each gets what was another one's.
        for pod in [*pods[3:], *pods[:3]]:
            self.podman("network", "connect", "--alias", "redis-order", self.stack.network, infras[pod])
            self.podman("pod", "start", pod)
        await eventually(lambda: self.is_whole("order"), "the recognition of all nodes", 90, pause=0.2)
        self.assertEqual({node: self.redis(node, "cluster", "myid") for node in nodes}, before)
        client = self.stack.client()

        async def is_paid():
            answer = await client.get(f"/orders/find/{order}")
            return answer.status == 200 and answer.json()["paid"]

        await eventually(is_paid, "the good answer about an order that was paid before")
        await self.sold_something(self.stack.client())
        await self.assert_clean_audit(self.stack)
