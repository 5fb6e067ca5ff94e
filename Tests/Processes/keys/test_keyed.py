"""50,000 keyed writes of all kinds, with duplicates, lost requests and replies, and kills: each has one effect (P4)."""

import asyncio
import os
import time
import unittest
from random import Random

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.Processes.keys.fake_shop import FakeShop
from Tests.Processes.keys.keyed_client import KeyedClient
from Tests.Processes.keys.keyed_load import KeyedLoad
from Tests.Processes.keys.keyed_shop import KeyedShop
from Tests.Processes.keys.proxy import Proxy

WRITES = int(os.environ.get("KONTOR_KEYED_WRITES", 50_000))
_KILLS = 12
_CLIENTS = 48


class Trial:
    """A load through a proxy that loses things, on something that is killed and started again in between."""

    def __init__(self, random, port: int, writes: int):
        self.proxy = Proxy(random, port, lost_requests=0.02, lost_replies=0.10)
        self._writes = writes
        self._random = random
        self._port = port

    async def run(self, kill, start) -> list:
        """`kill` and `start` are coroutine functions. Returns all violations."""
        await self.proxy.start()
        client = Client(self.proxy.port)
        self.shop = KeyedShop(KeyedClient(client, self._random), self._random, self._writes)
        load = asyncio.create_task(KeyedLoad(self.shop, self._random).run(_CLIENTS))
        try:
            for number in range(1, _KILLS + 1):
                wanted = self._writes * number // (_KILLS + 1)
                await eventually(lambda: load.done() or self.shop.done >= wanted, "the load's progress", seconds=180)
                # Anywhere in what the server is doing.
                await asyncio.sleep(self._random.uniform(0, 0.02))
                await kill()
                await start()
                await self.shop.repeat_after_kill()
            await load
            await self.shop.repeat_after_kill()
        finally:
            load.cancel()
            client.close()
            self.proxy.close()
        reader = Client(self._port)
        try:
            return await self.shop.judge(reader)
        finally:
            reader.close()


class KeyedTests(ServerCase):
    async def test_each_key_has_one_effect_and_one_answer_whatever_is_lost_or_killed(self):
        random = self.seeded_random()
        server = await self.started_server()
        trial = Trial(random, server.port, WRITES)
        self.require("strace")

        async def kill():
            """Mostly with slow syncs, so that much is done and not answered."""
            if random.random() < 0.3:
                server.kill()
                return
            async with injected(server.pid, "delay_enter=30000"):
                await asyncio.sleep(random.uniform(0.05, 0.15))
                server.kill()

        started = time.monotonic()
        try:
            violations = await trial.run(kill, server.start)
        finally:
            self.report(
                f"{trial.shop.done} writes and {_KILLS} kills in {time.monotonic() - started:.0f} s; "
                f"{dict(trial.shop.client.tally)}; proxy: {dict(trial.proxy.tally)}")
        self.assertEqual(violations, [], f"{len(violations)} violations:\n" + "\n".join(violations[:20]))
        shop, audit = trial.shop, await server.audit()
        self.assertEqual(
            (audit["accounts"], audit["orders"], audit["openSagas"]),
            (len(shop.stock) + len(shop.credit), len(shop.orders), 0), "something was created twice, or lost")
        await self.assert_clean_audit(server)


class JudgeTests(unittest.IsolatedAsyncioTestCase):
    """The judge itself, with a shop that keeps its promises, and with others that break one each."""

    async def asyncSetUp(self):
        # unittest turns it on, and it makes the load several times slower.
        asyncio.get_running_loop().set_debug(False)

    async def violations(self, fault: str = None) -> list:
        random = Random(7)
        fake = FakeShop(random, fault)
        await fake.start()

        async def kill():
            fake.kill()

        try:
            return await Trial(random, fake.port, 1_000).run(kill, fake.start)
        finally:
            fake.kill()

    async def test_a_shop_that_keeps_its_promises_is_not_accused(self):
        self.assertEqual(await self.violations(), [])

    async def test_a_shop_that_breaks_a_promise_is_found_guilty(self):
        for fault in (
            "applies twice", "applies a replay again", "forgets keys", "loses its keys when it is killed",
            "answers differently",
            "does not say that it replays", "is refused after it was done", "takes another request under a key",
            "keeps refusals",
        ):
            with self.subTest(fault):
                self.assertNotEqual(await self.violations(fault), [])
