"""Writes that the gateway sends twice, because the replica that has the first copy stands still (findings A1, A11).

What was refused through the gateway has no effect, now or later: the replica goes on when there is enough of what was missing.
"""

import asyncio
import re

from Tests.kontor_testing.http_client import Answer, Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase

# So many that some of them are given to the replica that stands still.
_EACH = 6


class CopyTests(ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.deployment = await self.started_deployment(replicas=2)
        self.client = self.deployment.client()

    async def _post(self, path: str, key: str = None) -> Answer:
        return await self.client.post(path, {"Idempotency-Key": key} if key else {})

    async def _created(self, path: str, field: str) -> str:
        answer = await self.client.post(path)
        self.assertEqual(answer.status, 200, str(answer))
        return answer.json()[field]

    async def _refused_then_resumed(self, service: str, writes: list, mend: list):
        """Sends the writes while one replica stands still: each is refused. Then what was missing is added, and it goes on."""
        for victim in self.deployment.replicas[service]:
            await victim.freeze()
            # Each with a key, and each without one.
            answers = await asyncio.gather(*(
                self._post(path, key) for path in writes for key in (None, f"{victim}{path}")))
            self.assertEqual({answer.status for answer in answers}, {409}, list(map(str, answers)))
            for path in mend:
                self.assertEqual((await self._post(path)).status, 200, path)
            victim.resume()
            # Whatever is in its sockets is read, and decided, well within this time.
            await asyncio.sleep(2)
            yield

    async def test_a_withdrawal_that_was_refused_is_not_done_later(self):
        items = [await self._created("/stock/item/create/1", "item_id") for _ in range(_EACH)]
        async for _ in self._refused_then_resumed(
            "stock", [f"/stock/subtract/{item}/7" for item in items], [f"/stock/add/{item}/10" for item in items]
        ):
            found = [(await self.client.get(f"/stock/find/{item}")).json()["stock"] for item in items]
            self.assertEqual(found, [10] * _EACH)
            for item in items:
                await self._post(f"/stock/subtract/{item}/10")

    async def test_a_payment_that_was_refused_is_not_done_later(self):
        users = [await self._created("/payment/create_user", "user_id") for _ in range(_EACH)]
        await self._assert_unchanged(users, [f"/payment/pay/{user}/7" for user in users])
        orders = [await self._created(f"/orders/create/{user}", "order_id") for user in users]
        await self._assert_unchanged(
            users, [f"/payment/pay/{user}/{order}/7" for user, order in zip(users, orders)])

    async def _assert_unchanged(self, users: list, writes: list):
        """Each write wants 7 of a user who has nothing, then 10, which is given and taken away again."""
        async for _ in self._refused_then_resumed("payment", writes, [f"/payment/add_funds/{user}/10" for user in users]):
            found = [(await self.client.get(f"/payment/find_user/{user}")).json()["credit"] for user in users]
            self.assertEqual(found, [10] * len(users))
            for user in users:
                await self._post(f"/payment/pay/{user}/10")

    async def test_a_checkout_that_was_refused_is_not_done_later(self):
        user = await self._created("/payment/create_user", "user_id")
        items = [await self._created("/stock/item/create/1", "item_id") for _ in range(_EACH)]
        orders = [await self._created(f"/orders/create/{user}", "order_id") for _ in items]
        for order, item in zip(orders, items):
            self.assertEqual((await self._post(f"/orders/addItem/{order}/{item}/1")).status, 200)
        mend = [f"/payment/add_funds/{user}/100", *(f"/stock/add/{item}/1" for item in items)]
        async for _ in self._refused_then_resumed("order", [f"/orders/checkout/{order}" for order in orders], mend):
            found = [(await self.client.get(f"/orders/find/{order}")).json()["paid"] for order in orders]
            self.assertEqual(found, [False] * _EACH)
            # For the other replica's turn there must be nothing again.
            for item in items:
                await self._post(f"/stock/subtract/{item}/1")
        await self.assert_clean_audit(self.deployment)

    async def test_an_unkeyed_deposit_is_done_once_however_late_the_first_copy_is(self):
        users = [await self._created("/payment/create_user", "user_id") for _ in range(_EACH)]
        for victim in self.deployment.replicas["payment"]:
            await victim.freeze()
            answers = await asyncio.gather(*(self._post(f"/payment/add_funds/{user}/5") for user in users))
            self.assertEqual({answer.status for answer in answers}, {200}, list(map(str, answers)))
            victim.resume()
            await asyncio.sleep(2)
        found = [(await self.client.get(f"/payment/find_user/{user}")).json()["credit"] for user in users]
        self.assertEqual(found, [10] * _EACH)

    async def test_a_contended_withdrawal_is_told_so(self):
        """With Retry-After, by the service, though the gateway has other replicas to ask (A9)."""
        item = await self._created("/stock/item/create/1", "item_id")
        user = await self._created("/payment/create_user", "user_id")
        order = await self._created(f"/orders/create/{user}", "order_id")
        for path in (f"/stock/add/{item}/1", f"/payment/add_funds/{user}/1", f"/orders/addItem/{order}/{item}/1"):
            self.assertEqual((await self._post(path)).status, 200)
        # Nobody can decide the checkout: its hold stays while payment does not answer.
        for replica in self.deployment.replicas["payment"]:
            await replica.freeze()
        checkout = asyncio.create_task(self.client.post(f"/orders/checkout/{order}", {"Request-Timeout-Ms": "9000"}))
        await eventually(self._is_stock_held, "the hold of the checkout")
        answer = await self._post(f"/stock/subtract/{item}/1")
        self.assertEqual((answer.status, answer.problem), (409, "contended"), str(answer))
        self.assertEqual(answer.headers.get("retry-after"), "1")
        for replica in self.deployment.replicas["payment"]:
            replica.resume()
        self.assertEqual((await checkout).status, 200)

    async def _is_stock_held(self) -> bool:
        metrics = [await replica.metrics() for replica in self.deployment.replicas["stock"]]
        return any(re.search(r'^kontor_ledger_held\b.* 1$', text, re.MULTILINE) for text in metrics)

    async def test_of_two_batch_inits_at_two_replicas_one_is_refused(self):
        """So all records are of one of them (A5); with a key the repetition is told that the first one runs, and then replayed (F3)."""
        clients = [Client(replica.port) for replica in self.deployment.replicas["stock"]]
        for client in clients:
            self.addCleanup(client.close)
        answers = await asyncio.gather(*(
            client.post(f"/stock/batch_init/20000/{stock}/1") for client, stock in zip(clients, (5, 7))))
        self.assertEqual(sorted(answer.status for answer in answers), [200, 429], list(map(str, answers)))
        expected = 5 if answers[0].status == 200 else 7
        found = {(await self.client.get(f"/stock/find/{item}")).json()["stock"] for item in range(0, 20_000, 500)}
        self.assertEqual(found, {expected})
        key = {"Idempotency-Key": "k"}
        answers = await asyncio.gather(*(client.post("/stock/batch_init/20000/9/1", key) for client in clients))
        self.assertEqual(sorted(answer.status for answer in answers), [200, 409], list(map(str, answers)))
        self.assertEqual((await self._post("/stock/subtract/7/2")).status, 200)
        for client in clients:
            answer = await client.post("/stock/batch_init/20000/9/1", key)
            self.assertEqual((answer.status, answer.headers.get("idempotent-replayed")), (200, "true"), str(answer))
        self.assertEqual((await self.client.get("/stock/find/7")).json()["stock"], 7)
