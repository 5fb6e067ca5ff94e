"""One shard of three is away, or its replica, or its master, for as long as KONTOR_AWAY_SECONDS says: whoever needs nothing of that
shard is served as if nothing was (P6), and readiness, log and metrics say what is wrong."""

import asyncio
import os
import time

from Tests.kontor_testing.http_client import Client, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase

AWAY_SECONDS = float(os.environ.get("KONTOR_AWAY_SECONDS", "20"))
_ITEMS = 60
_CLIENTS = 16
# Of requests that need nothing of the shard.
_PROMPT_SECONDS = 1
_PROMPT_PART = 0.999
# Until each process has noticed.
_NOTICED_SECONDS = 5
# The other masters agree that one is gone, and the services find out.
_RECOVERY_SECONDS = 10


class ShardAwayTests(ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        # A shard without a master must not close the others.
        self.deployment = await self.started_deployment(
            clusters=("stock",), cluster_options={"cluster-require-full-coverage": "no"})
        self.cluster = self.deployment.stores["stock"]
        self.stock = self.deployment.replicas["stock"][0]
        self.client = Client(self.stock.port, connections=4 * _CLIENTS)
        self.addCleanup(self.client.close)

    async def test_a_replica_that_is_away_takes_away_its_shard_alone(self):
        master = self.cluster.masters()[0]
        await self._away(master, [self._replica(master)])

    async def test_a_shard_that_is_away_takes_away_itself_alone(self):
        master = self.cluster.masters()[0]
        await self._away(master, [self._replica(master), master])

    async def test_a_master_that_hangs_takes_away_its_shard_alone(self):
        # Its replica follows, and confirms nothing until the old master is back as its replica.
        master = self.cluster.masters()[0]
        await self._away(master, [master], hangs=True)

    def _replica(self, master):
        return next(
            server for server in self.cluster.servers
            if f"master_port:{master.port}" in server.ask("INFO", "replication"))

    async def _away(self, master, victims, hangs=False):
        """Items of all shards are read and added to while `victims` are away."""
        items = [await self._item() for _ in range(_ITEMS)]
        theirs = {item for item in items if self._is_on(master, item)}
        others = [item for item in items if item not in theirs]
        self.assertTrue(theirs and others, "all items are on one shard")
        for victim in victims:
            if hangs:
                await victim.freeze()
            else:
                victim.kill()
        ends = time.monotonic() + AWAY_SECONDS
        load = [asyncio.create_task(self._load(others, ends)) for _ in range(_CLIENTS)]
        load += [asyncio.create_task(self._load(sorted(theirs), ends)) for _ in range(_CLIENTS)]
        await asyncio.sleep(min(_NOTICED_SECONDS, AWAY_SECONDS / 2))
        told = await self._told()
        took = [seconds for task in load[:_CLIENTS] for seconds in await task]
        refused = [seconds for task in load[_CLIENTS:] for seconds in await task]
        prompt = sum(seconds is not None and seconds < _PROMPT_SECONDS for seconds in took)
        self.report(
            f"{len(took)} requests for other shards, {prompt / len(took):.3%} good within {_PROMPT_SECONDS} s; "
            f"of {len(refused)} for the shard {sum(seconds is not None for seconds in refused)} were good")
        self.assertGreaterEqual(prompt, _PROMPT_PART * len(took))
        self._assert_told(*told)
        for victim in victims:
            if hangs:
                victim.resume()
            else:
                victim.spawn()
        back = time.monotonic()
        for item in theirs:
            await eventually(lambda item=item: self._is_good(item), f"item {item} is served again", _RECOVERY_SECONDS)
        self.report(f"all is served again {time.monotonic() - back:.1f} s after the victims were back")
        await eventually(self._is_well, "readiness without troubles", _RECOVERY_SECONDS)
        await self.assert_clean_audit(self.deployment)

    async def _item(self) -> str:
        return (await self.client.post("/stock/item/create/1")).json()["item_id"]

    def _is_on(self, master, item: str) -> bool:
        return bool(master.ask("KEYS", f"*item:{item}"))

    async def _load(self, items, ends) -> list:
        """For each request how long its good answer took; None: it had none."""
        took, number = [], 0
        while time.monotonic() < ends:
            number += 1
            item, began = items[number % len(items)], time.monotonic()
            good = await self._is_good(item, write=number % 2 == 0)
            took.append(time.monotonic() - began if good else None)
            if not good:
                await asyncio.sleep(0.05)
        return took

    async def _is_good(self, item, write=False) -> bool:
        answer = await (self.client.post(f"/stock/add/{item}/1") if write else self.client.get(f"/stock/find/{item}"))
        return answer.status == 200

    async def _told(self) -> tuple:
        return await get_once(self.stock.internal_port, "/health/ready", seconds=2), await self.stock.metrics()

    def _assert_told(self, answer, metrics):
        self.assertEqual(answer.status, 200, "the other shards are served")
        self.assertTrue(answer.json().get("troubles"), "readiness does not tell what is wrong")
        self.report(f"ready: {answer.json()['troubles']}")
        self.assertRegex(metrics, r'kontor_store_shard_unused\{shard="127.0.0.1:\d+"\} 1')
        self.assertIn("A part of the store is not used", self.stock.log())

    async def _is_well(self) -> bool:
        answer = await get_once(self.stock.port, "/health/ready", seconds=2)
        return answer.status == 200 and "troubles" not in answer.json()
