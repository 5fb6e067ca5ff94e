"""Orders that are created and checked out in one request of /v1, while the shop is killed: each key makes one order, paid once."""

import asyncio

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.services_case import ServicesCase

_ORDERS = 3_000
_CLIENTS = 32
_KILLS = 6
_ITEMS = 5


class _Placements:
    """Many orders, each asked for until it is paid."""

    async def _prepare(self, client: Client):
        self.items = [(await self._made(client, "/v1/items", {"price": "2.50", "stock": _ORDERS})) for _ in range(_ITEMS)]
        self.user = await self._made(client, "/v1/users", {"credit": str(5 * _ORDERS)})
        self.placed, self.done = {}, 0

    async def _made(self, client: Client, path: str, body: dict) -> str:
        answer = await client.request("POST", path, body=body)
        self.assertEqual(answer.status, 201, str(answer))
        return answer.json()["id"]

    async def _place(self, client: Client, number: int):
        """Every answer but "paid" is a reason to ask again. All answers name one order."""
        lines = [{"item_id": self.items[(number + offset) % _ITEMS], "units": 1} for offset in (0, 1)]
        body = {"user_id": self.user, "lines": lines, "checkout": True}
        while True:
            answer = await client.request("POST", "/v1/orders", {"Idempotency-Key": f"place-{number}"}, body)
            if answer.status is None or answer.status in (424, 429, 504):
                await asyncio.sleep(0.02)
                continue
            self.assertEqual(answer.status, 201, str(answer))
            shown = answer.json()
            self.assertEqual(self.placed.setdefault(number, shown["id"]), shown["id"])
            if shown["state"] == "paid":
                self.done += 1
                return
            self.assertIn(shown["checkout_problem"]["status"], (409, 424, 429), str(answer))

    async def _load(self, port: int, kill):
        """`kill` is a coroutine function, called several times on the way."""
        client = Client(port)
        self.addCleanup(client.close)
        numbers = iter(range(_ORDERS))

        async def work():
            for number in numbers:
                await self._place(client, number)

        workers = [asyncio.create_task(work()) for _ in range(_CLIENTS)]
        try:
            for round_ in range(1, _KILLS + 1):
                goal = _ORDERS * round_ // (_KILLS + 1)
                await eventually(
                    lambda: self.done >= goal or any(worker.done() for worker in workers), "the load's progress", seconds=120)
                await kill(round_)
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        self.assertEqual(len(set(self.placed.values())), _ORDERS)
        credit = (await client.get(f"/v1/users/{self.user}")).json()
        stock = [(await client.get(f"/v1/items/{item}")).json() for item in self.items]
        self.report(f"{_ORDERS} orders, {_KILLS} kills: credit {credit}, units left {[item['stock'] for item in stock]}")
        self.assertEqual((credit["credit"], credit["held"]), ("0.00", "0.00"))
        self.assertEqual(sum(item["stock"] for item in stock), _ITEMS * _ORDERS - 2 * _ORDERS)


class EmbeddedPlacementTests(_Placements, ServerCase):
    async def test_each_key_makes_one_order_that_is_paid_once(self):
        server = await self.started_server()
        client = server.client()
        self.addCleanup(client.close)
        await self._prepare(client)

        async def kill(_):
            server.kill()
            await server.start()

        await self._load(server.port, kill)
        await self.assert_clean_audit(server)


class ServicesPlacementTests(_Placements, ServicesCase):
    async def test_each_key_makes_one_order_that_is_paid_once(self):
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
