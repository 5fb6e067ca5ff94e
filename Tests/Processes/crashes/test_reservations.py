"""Reservations while the shop is killed, while it is dead at their end, and while a crowd wants what few can have."""

import asyncio
import contextlib
import os
import re
import time
from collections import Counter
from datetime import datetime

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.disks import injected
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase
from Tests.Processes.crashes.reservations import GIVEN_BACK_SECONDS, Reservations, ReservationsUnderKills

# Kills of the embedded shop; over Redis it is two fifths of that.
KILLS = int(os.environ.get("KONTOR_RESERVATION_KILLS", 30))
# Until a kill.
_MOST_ANSWERS = 150
# Reservations that are over while the shop is dead.
_OVER = 1_000
# The crowd, and how many of it can have what it wants.
_USERS = 1_000
_UNITS = 100
_HELD_SECONDS = 2
# What others buy meanwhile, and refusals, are answered within this, far below the deadline.
_SLOW_SECONDS = 1.5


class EmbeddedKillTests(ReservationsUnderKills, ServerCase):
    async def test_what_was_reserved_stays_and_what_was_given_back_is_free_when_the_server_is_killed(self):
        """30 times (or KONTOR_RESERVATION_KILLS): load, kill -9, restart (at times killed again while it recovers), judge.
        Every other time all is read from the table, which is slow, and each fourth time syncs are slow."""
        self.require("strace")
        server = await self.started_server()
        await self.prepare(server)
        kills = number = 0
        while kills < KILLS:
            number += 1
            if number % 2:
                await self._kill_while_all_is_read(server)
            else:
                async with injected(server.pid, "delay_enter=30000") if number % 4 else contextlib.nullcontext():
                    await self.load(server.kill, _MOST_ANSWERS)
            kills += 1
            if self.random.random() < 0.3:
                server.spawn()
                await asyncio.sleep(self.random.uniform(0, 0.15))
                server.kill()
                kills += 1
            await server.start()
            await self.judge()
            await self.assert_clean_audit(server)
        await self.end(server, kills)
        resumed = [int(count) for count in re.findall(r"sagas=(\d+)", server.log_path.read_text())]
        self.report(f"{sum(resumed)} sagas resumed")
        self.assertTrue(sum(resumed) or kills < 40, "nothing was found half done: this test did not test what it should")

    async def _kill_while_all_is_read(self, server):
        """What is in memory is done in one frame of the journal, which no kill finds half done; so nothing is."""
        self.assertEqual(await server.terminate(), 0)
        await server.start()

        async def kill():
            await asyncio.sleep(self.random.uniform(0, 0.1))
            server.kill()

        async with injected(server.pid, "delay_enter=10000", calls="pread64"):
            await self.load(kill, most_answers=0)


class ServicesKillTests(ReservationsUnderKills, ServicesCase):
    async def test_what_was_reserved_stays_and_what_was_given_back_is_free_when_a_service_or_store_is_killed(self):
        """Two fifths as often, any of the three services and their stores; it is started again at once, and the load goes on."""
        deployment = await self.started_deployment()
        await self.prepare(deployment)
        kills = max(1, KILLS * 2 // 5)
        for _ in range(kills):
            victim = self.random.choice([*deployment.services, *deployment.services, *deployment.redis_servers])

            async def kill():
                victim.kill()
                victim.spawn()
                await deployment.wait_until_ready()

            await self.load(kill, _MOST_ANSWERS)
            self.tally[f"kills of {victim}"] += 1
            await self.judge()
        await self.end(deployment, kills)


# Reservations that end


class _Ends(Reservations):
    """Very many reservations of one item."""

    async def _reserve_many(self, client: Client, count: int, seconds: int) -> str:
        """The item of which all is held, until the clock says that all of it is over."""
        item, user = await self.new_item(client, count), await self.new_user(client, 0)
        orders = await asyncio.gather(*(self.new_order(client, user, item) for _ in range(count)))
        shown = await asyncio.gather(*(self.reserve(client, order, seconds) for order in orders))
        self._ends = max(datetime.fromisoformat(order["reserved_until"]).timestamp() for order in shown)
        self.assertEqual(await self.held(client, item), count, f"within {seconds} s not all could be reserved")
        return item

    async def _until_the_end(self):
        """Services on one machine have one clock."""
        await eventually(lambda: time.time() > self._ends, "the end of the reservations", pause=0.02)

    async def _assert_all_is_free(self, client: Client, item: str, count: int):
        """Within the promised time from now on."""
        started = time.monotonic()

        async def is_free():
            return await self.held(client, item) == 0

        await eventually(is_free, "that all is free", GIVEN_BACK_SECONDS, pause=0.05)
        self.report(f"{count} reservations were over, and all was seen to be free {time.monotonic() - started:.2f} s later")
        self.assertEqual((await self.good(client, "GET", f"/items/{item}"))["available"], count)
        self.assertEqual(len(await self.listed(client, "/orders?state=open")), count)

    async def _assert_all_ends(self, shop, kill, seconds: int, count: int = _OVER):
        client = shop.client()
        self.addCleanup(client.close)
        item = await self._reserve_many(client, count, seconds)
        kill()
        self.assertLess(time.time(), self._ends, "it was killed too late: this test did not test what it should")
        await self._until_the_end()
        await shop.start()
        self.report(f"ready after {shop.seconds_to_first_answer:.2f} s")
        await self._assert_all_is_free(client, item, count)
        await self.assert_clean_audit(shop)

    async def _assert_books_balance(self, shop):
        client = shop.client()
        self.addCleanup(client.close)
        item = await self._reserve_many(client, 20, seconds=600)
        await self.assert_clean_audit(shop)
        self.assertEqual(await self.held(client, item), 20)


class EmbeddedEndTests(_Ends, ServerCase):
    async def test_reservations_that_were_over_while_the_shop_was_dead_are_given_back(self):
        server = await self.started_server()
        await self._assert_all_ends(server, server.kill, seconds=4)

    async def test_the_books_balance_while_units_are_reserved(self):
        await self._assert_books_balance(await self.started_server())


class ServicesEndTests(_Ends, ServicesCase):
    async def test_reservations_that_were_over_while_the_shop_was_dead_are_given_back(self):
        """Services and stores."""
        deployment = await self.started_deployment()

        def kill():
            for process in (*deployment.services, *deployment.redis_servers):
                process.kill()

        await self._assert_all_ends(deployment, kill, seconds=8)

    async def test_the_books_balance_while_units_are_reserved(self):
        await self._assert_books_balance(await self.started_deployment())

    async def test_whichever_process_lives_gives_back_what_another_one_reserved(self):
        """One of two replicas of each service is killed, and stays dead."""
        deployment = await self.started_deployment(replicas=2)
        client = deployment.client()
        self.addCleanup(client.close)
        item = await self._reserve_many(client, 200, seconds=3)
        for replicas in deployment.replicas.values():
            replicas[0].kill()
        await self._until_the_end()
        await self._assert_all_is_free(client, item, 200)
        await self.assert_clean_audit(deployment)


# The crowd


class _Crowd(Reservations):
    """A thousand users who each want one of a hundred units."""

    async def _assert_fair(self, shop):
        client, others = shop.client(connections=_USERS), shop.client()
        self.addCleanup(client.close)
        self.addCleanup(others.close)
        self.random = self.seeded_random()
        self.item = await self.new_item(others, _UNITS)
        # A replica that does not listen yet refuses the gateway, which sends a `batch_init` once.
        await eventually(lambda: self._are_there(others), "the users", 10)
        orders = await asyncio.gather(*(self.new_order(others, str(user), self.item) for user in range(_USERS)))
        self.tally, self.refusals, self.sold, self.buying = Counter(), [], 0, 0
        # How long each purchase of something else took, by user.
        self.others = {}
        self._goes_on = True
        buyers = [asyncio.create_task(self._buys_others(others, number)) for number in range(4)]
        started = time.monotonic()
        try:
            await asyncio.gather(*(self._wants(client, order, number % 3 == 0) for number, order in enumerate(orders)))
        finally:
            self._goes_on = False
            await asyncio.gather(*buyers)
        self._report_times(time.monotonic() - started)
        await self._judge(shop, others)

    async def _wants(self, client: Client, order: str, lets_it_end: bool):
        """Tries until it has one, or all are sold; who lets it end has had it."""
        await asyncio.sleep(self.random.uniform(0, 1))
        while True:
            answer = await self._ask(client, order, "reservation", {"seconds": _HELD_SECONDS})
            if answer.status == 200 and lets_it_end:
                return
            if answer.status == 200:
                await asyncio.sleep(self.random.uniform(0, _HELD_SECONDS / 2))
                self.buying += 1
                answer = await self._ask(client, order, "checkout")
                self.buying -= 1
                self.sold += answer.status == 200
                self.assertLessEqual(self.sold, _UNITS)
                if answer.status == 200:
                    return
            if answer.problem == "out-of-stock":
                return self.assertGreaterEqual(self.sold + self.buying, _UNITS, "it was told that all is sold, and it is not")
            after = int(answer.headers["retry-after"])
            self.assertIn(after, range(1, _HELD_SECONDS + 2))
            await asyncio.sleep(after * self.random.uniform(0.5, 1))

    async def _ask(self, client: Client, order: str, what: str, body: dict = None):
        started = time.monotonic()
        answer = await client.request("POST", f"/v1/orders/{order}/{what}", {}, body)
        said = 200 if answer.status == 200 else answer.problem
        self.tally[f"{what}: {said}"] += 1
        self.assertIn(said, (200, "contended", "out-of-stock"), str(answer))
        if said != 200:
            self.refusals.append(time.monotonic() - started)
        return answer

    async def _are_there(self, client: Client) -> bool:
        return (await client.post(f"/payment/batch_init/{_USERS}/1")).status == 200

    async def _buys_others(self, client: Client, number: int):
        """Another item of the same shop, again and again."""
        item, user = await self.new_item(client, 100_000), await self.new_user(client, 100_000)
        body = {"user_id": user, "lines": [{"item_id": item, "units": 1}], "checkout": True}
        times = self.others[user] = []
        while self._goes_on:
            started = time.monotonic()
            answer = await client.request("POST", "/v1/orders", {"Idempotency-Key": f"{number}-{len(times)}"}, body)
            times.append(time.monotonic() - started)
            self.assertEqual((answer.status, answer.json().get("state")), (201, "paid"), str(answer))
            await asyncio.sleep(0.02)

    def _report_times(self, seconds: float):
        self.report(f"the crowd took {seconds:.1f} s: {dict(self.tally)}")
        found = {"purchases of something else": sum(self.others.values(), []), "refusals": self.refusals}
        for what, times in found.items():
            times.sort()
            self.report(f"{len(times)} {what}: median {times[len(times) // 2] * 1000:.0f} ms, "
                        f"p99 {times[len(times) * 99 // 100] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms")
            # Enough that they met the crowd.
            self.assertGreater(len(times), 40, what)
            self.assertLess(times[-1], _SLOW_SECONDS, what)

    async def _judge(self, shop, client: Client):
        self.assertEqual(self.sold, _UNITS, "who kept trying could not buy what was there")
        await eventually(lambda: self._is_nothing_reserved(client), "the end of all reservations", _HELD_SECONDS + GIVEN_BACK_SECONDS)
        item = await self.good(client, "GET", f"/items/{self.item}")
        self.assertEqual((item["stock"], item["held"]), (0, 0))
        credit = {user["id"]: user["credit"] for user in await self.listed(client, "/users?")}
        self.assertEqual(Counter(credit[str(user)] for user in range(_USERS)), {"0.00": _UNITS, "1.00": _USERS - _UNITS})
        for user, times in self.others.items():
            self.assertEqual(credit[user], f"{100_000 - len(times)}.00")
        paid = await self.listed(client, "/orders?state=paid")
        self.assertEqual(sum(order["lines"][0]["item_id"] == self.item for order in paid), _UNITS)
        await self.assert_clean_audit(shop)

    async def _is_nothing_reserved(self, client: Client) -> bool:
        return not await self.listed(client, "/orders?state=reserved")


class EmbeddedCrowdTests(_Crowd, ServerCase):
    async def test_of_a_thousand_who_want_a_hundred_units_a_hundred_get_one_and_nobody_else_is_held_up(self):
        await self._assert_fair(await self.started_server())


class ServicesCrowdTests(_Crowd, ServicesCase):
    async def test_of_a_thousand_who_want_a_hundred_units_a_hundred_get_one_and_nobody_else_is_held_up(self):
        await self._assert_fair(await self.started_deployment(replicas=2))
