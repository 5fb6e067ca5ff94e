"""The pods of both overlays, played by podman: they start as they are rendered, sell, and lose nothing when they are killed."""

import sys
import time

from kube import Kube
from podman import Podman, until

from case import ServerCase
from troubled import Troubled

SERVICES = ("order", "payment", "stock")


class KubeCase(ServerCase):
    overlay = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.podman = Podman()
        cls.addClassCleanup(cls.podman.close)
        cls.podman.make_images()
        started = time.monotonic()
        cls.kube = Kube(cls.podman, cls.overlay)
        cls.addClassCleanup(cls.kube.stop)
        cls.kube.start()
        print(f"\n    {cls.overlay}: {len(cls.podman.json('pod', 'ps'))} pods after {time.monotonic() - started:.0f} s", file=sys.stderr)

    async def assert_clean_audit(self, server):
        is_clean, output = await server.audit()
        self.assertTrue(is_clean, f"kontor audit: {output}")

    async def kill_each(self, containers: list, seconds: float):
        troubled = await Troubled.opened(self, self.kube)
        try:
            for container in containers:
                async def crash():
                    self.podman.crash(container)
                    return time.monotonic()

                taken = await troubled.round(f"killed {container}", crash)
                self.assertLess(taken, seconds, container)
                until(lambda: self.podman.inspect(container)["State"]["Running"], f"the restart of {container}")
            await self.assert_judged_well(troubled.shop)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.kube.log()}") from None
        finally:
            troubled.report()


class MinikubeTests(KubeCase):
    overlay = "minikube"

    async def test_its_pods_sell_and_each_is_killed_once(self):
        await self.sold_something(self.kube.client())
        containers = self.kube.containers("order", "payment", "stock", "gateway", *(f"redis-{name}" for name in SERVICES))
        self.assertEqual(len(containers), 7)
        await self.kill_each(containers, seconds=20)
        await self.assert_clean_audit(self.kube)


class ClusterTests(KubeCase):
    overlay = "cluster"

    def masters(self, store: str) -> dict:
        """Each master's container, and its role."""
        found = {}
        for container in self.kube.containers(f"redis-{store}"):
            found[container] = "role:master" in self.redis(container, "info", "replication")
        return found

    def redis(self, container: str, *words) -> str:
        return self.podman("exec", container, "sh", "-c",
                           f'REDISCLI_AUTH=$(cat /run/secrets/redis/admin) redis-cli --user admin --no-auth-warning {" ".join(words)}')

    def is_whole(self, store: str) -> bool:
        nodes = self.kube.containers(f"redis-{store}")
        return all("cluster_state:ok" in self.redis(node, "cluster", "info") for node in nodes) and all(
            "state=online" in self.redis(node, "info", "replication") for node, is_master in self.masters(store).items() if is_master)

    async def test_1_three_masters_and_three_replicas_of_each_store_sell(self):
        for store in SERVICES:
            self.assertEqual(sorted(self.masters(store).values()), [False] * 3 + [True] * 3)
        for _ in range(20):
            await self.sold_something(self.kube.client())
        await self.assert_clean_audit(self.kube)

    async def test_2_what_is_made_once_can_be_made_again(self):
        for workload in self.kube.manifests.workloads:
            if workload.name in ("redis-cluster", "init"):
                code, output = self.kube.run_job(workload)
                self.assertEqual(code, 0, output)
                self.assertRegex(output, "Nothing to do|is a cluster already")

    async def test_3_a_master_and_a_replica_of_each_service_are_killed(self):
        victims = []
        for store in SERVICES:
            victims.append(next(container for container, is_master in self.masters(store).items() if is_master))
            victims.append(self.kube.containers(store)[0])
        await self.kill_each(victims, seconds=40)
        for store in SERVICES:
            until(lambda: self.is_whole(store), f"the health of the cluster of {store}")

    async def test_4_all_nodes_of_a_store_come_back_with_other_addresses(self):
        """As after a night without machines: nobody is where the others remember it."""
        order = (await self.sold_something(self.kube.client()))["order"]
        nodes = self.kube.containers("redis-order")
        before = {node: self.redis(node, "cluster", "myid") for node in nodes}
        pods = [node.removesuffix("-redis") for node in nodes]
        infras = {pod: self.podman.json("pod", "inspect", pod)["InfraContainerID"] for pod in pods}
        for pod in pods:
            self.podman("pod", "stop", "-t", "30", pod)
        for pod in pods:
            self.podman("network", "disconnect", self.kube.network, infras[pod])
        # In another order, so that each gets what was another one's.
        for pod in [*pods[3:], *pods[:3]]:
            self.podman("network", "connect", "--alias", "redis-order", self.kube.network, infras[pod])
            self.podman("pod", "start", pod)
        until(lambda: self.is_whole("order"), "the recognition of all nodes", 90)
        self.assertEqual({node: self.redis(node, "cluster", "myid") for node in nodes}, before)
        client = self.kube.client()

        def is_paid():
            return client.get(f"/orders/find/{order}")

        deadline = time.monotonic() + 60
        while (answer := await is_paid()).status != 200 and time.monotonic() < deadline:
            pass
        self.assertTrue(answer.status == 200 and answer.json()["paid"], str(answer))
        await self.sold_something(self.kube.client())
        await self.assert_clean_audit(self.kube)
