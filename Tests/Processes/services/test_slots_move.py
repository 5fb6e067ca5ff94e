"""Slots move from one master to another under load: their own keys are refused shortly, and nobody notices anything else (P6)."""

import asyncio
import time

from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase

_ITEMS = 60
_CLIENTS = 16
_MOVED_SLOTS = 5
# How long a slot is on its way: some of its keys are here, some there.
_ON_THE_WAY_SECONDS = 1


class SlotsMoveTests(ServicesCase):
    async def test_a_slot_that_moves_costs_its_own_keys_short_refusals_and_nobody_else_anything(self):
        deployment = await self.started_deployment(clusters=("stock",))
        stock, cluster = deployment.replicas["stock"][0], deployment.stores["stock"]
        client = Client(stock.port, connections=_CLIENTS)
        self.addCleanup(client.close)
        items = [(await client.post("/stock/item/create/1")).json()["item_id"] for _ in range(_ITEMS)]
        source, target = cluster.masters()[:2]
        slots = {}
        for item in items:
            for key in source.ask("KEYS", f"*item:{item}"):
                slots.setdefault(source.ask("CLUSTER", "KEYSLOT", key), set()).add(item)
        moving = list(slots)[:_MOVED_SLOTS]
        moved = set().union(*(slots[slot] for slot in moving))
        others = [item for item in items if item not in moved]
        self.assertTrue(moved and others)
        ends = [False]
        load = [asyncio.create_task(self._load(client, others, ends, number)) for number in range(_CLIENTS)]
        began = time.monotonic()
        for slot in moving:
            await self._move(slot, source, target, cluster)
        took = time.monotonic() - began
        for item in moved:
            await eventually(lambda item=item: self._is_good(client, item), f"item {item} at its new master", 5)
        ends[0] = True
        outcomes = [outcome for task in load for outcome in await task]
        bad = [outcome for outcome in outcomes if outcome != 200]
        self.report(f"{len(moving)} slots moved in {took:.1f} s; {len(outcomes)} requests for other items, {len(bad)} not good")
        self.assertEqual(bad, [])
        self.assertNotIn("begins anew", stock.log())
        await self.assert_clean_audit(deployment)

    async def _load(self, client, items, ends, number) -> list:
        outcomes = []
        while not ends[0]:
            number += 1
            item = items[number % len(items)]
            answer = await (client.post(f"/stock/add/{item}/1") if number % 2 else client.get(f"/stock/find/{item}"))
            outcomes.append(answer.status)
            await asyncio.sleep(0.002)
        return outcomes

    async def _is_good(self, client, item) -> bool:
        return (await client.post(f"/stock/add/{item}/1")).status == 200

    async def _move(self, slot, source, target, cluster):
        source_id, target_id = source.ask("CLUSTER", "MYID"), target.ask("CLUSTER", "MYID")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
            await asyncio.sleep(_ON_THE_WAY_SECONDS / 4)
        for server in [target, source, *cluster.masters()]:
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
