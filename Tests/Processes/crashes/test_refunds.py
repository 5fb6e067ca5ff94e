"""Refunds while the shop is killed: what was paid comes back, all of it and no more."""

import asyncio

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase

_ORDERS = 400
_CLIENTS = 24
_KILLS = 5
# Units of the one order that everybody refunds.
_UNITS = 50


class _Refunds:
    """Orders that are paid, and refunded part by part."""

    async def _ask(self, client: Client, method: str, path: str, body=None, key: str = None):
        """The answer, asked for until there is one that says what is."""
        while True:
            answer = await client.request(method, path, {"Idempotency-Key": key} if key else {}, body)
            if answer.status is not None and answer.status not in (424, 429, 503, 504):
                return answer
            if key is None and method == "POST":
                return answer
            await asyncio.sleep(0.02)

    async def _made(self, client: Client, path: str, body: dict, key: str = None) -> str:
        answer = await self._ask(client, "POST", path, body, key or f"made-{path}")
        self.assertEqual(answer.status, 201, str(answer))
        return answer.json()["id"]

    async def _prepare(self, client: Client):
        self.item = await self._made(client, "/v1/items", {"price": "2.50", "stock": 2 * _ORDERS + _UNITS})
        self.user = await self._made(client, "/v1/users", {"credit": str(5 * _ORDERS + 3 * _UNITS)})
        self.done = 0

        async def place(number: int, units: int) -> str:
            lines = [{"item_id": self.item, "units": units}]
            body = {"user_id": self.user, "lines": lines, "checkout": True}
            return await self._made(client, "/v1/orders", body, f"order-{number}")

        self.orders = [await place(number, 2) for number in range(_ORDERS)]
        self.large = await place(_ORDERS, _UNITS)

    async def _refund_part(self, client: Client, number: int):
        """One of two units of an order, each under its key."""
        order = self.orders[number // 2]
        body = {"lines": [{"item_id": self.item, "units": 1}]}
        answer = await self._ask(client, "POST", f"/v1/orders/{order}/refunds", body, f"part-{number}")
        self.assertEqual((answer.status, answer.json().get("amount")), (201, "2.50"), str(answer))
        self.done += 1

    async def _refund_large(self, client: Client, number: int):
        """One unit of the large order, half of them without a key: whoever gets no answer looks, and asks again if there is more."""
        body = {"lines": [{"item_id": self.item, "units": 1}]}
        key = f"large-{number}" if number % 2 else None
        while True:
            answer = await self._ask(client, "POST", f"/v1/orders/{self.large}/refunds", body, key)
            if answer.status == 201 or answer.status == 409:
                return
            shown = await self._ask(client, "GET", f"/v1/orders/{self.large}")
            if shown.json()["state"] == "refunded":
                return

    async def _load(self, port: int, kill):
        client = Client(port)
        self.addCleanup(client.close)
        numbers = iter(range(2 * _ORDERS))
        large = iter(range(2 * _UNITS))

        async def work():
            for number in numbers:
                await self._refund_part(client, number)
                other = next(large, None)
                if other is not None:
                    await self._refund_large(client, other)

        workers = [asyncio.create_task(work()) for _ in range(_CLIENTS)]
        try:
            for round_ in range(1, _KILLS + 1):
                goal = 2 * _ORDERS * round_ // (_KILLS + 1)
                await eventually(
                    lambda: self.done >= goal or any(worker.done() for worker in workers), "the load's progress", seconds=120)
                await kill(round_)
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        await self._judge(client)

    async def _judge(self, client: Client):
        async def all_is_back():
            shown = (await self._ask(client, "GET", f"/v1/orders/{self.large}")).json()
            credit = (await self._ask(client, "GET", f"/v1/users/{self.user}")).json()["credit"]
            self.report(f"{self.done} refunds of parts, {_KILLS} kills: the large order is {shown['state']}, the credit {credit}")
            return shown["state"] == "refunded" and credit == f"{5 * _ORDERS + 3 * _UNITS}.00"

        # What nobody waits for any more ends by itself.
        await eventually(all_is_back, "the credit that was there before", seconds=10)
        item = (await client.get(f"/v1/items/{self.item}")).json()
        self.assertEqual((item["stock"], item["held"]), (2 * _ORDERS + _UNITS, 0))
        refunds = (await client.get(f"/v1/orders/{self.large}/refunds")).json()["data"]
        self.assertEqual(sum(line["units"] for refund in refunds for line in refund["lines"]), _UNITS)


class EmbeddedRefundTests(_Refunds, ServerCase):
    async def test_exactly_what_was_paid_comes_back(self):
        server = await self.started_server()
        client = server.client()
        self.addCleanup(client.close)
        await self._prepare(client)

        async def kill(_):
            server.kill()
            await server.start()

        await self._load(server.port, kill)
        await self.assert_clean_audit(server)


class ServicesRefundTests(_Refunds, ServicesCase):
    async def test_exactly_what_was_paid_comes_back(self):
        deployment = await self.started_deployment(replicas=2)
        await self._prepare(deployment.client())

        async def kill(round_: int):
            service = ("order", "stock", "payment")[round_ % 3]
            victim = deployment.replicas[service][round_ % 2]
            victim.kill()
            victim.spawn()
            await deployment.wait_until_ready()

        await self._load(deployment.port, kill)
        await self.assert_clean_audit(deployment)
