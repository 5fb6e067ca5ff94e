"""What tests share that speak to one server as the public clients do."""

from Tests.kontor_testing.case import ServerCase


class ShopCase(ServerCase):
    """A test with one server, a client, and words for what it asks; the books must balance in the end."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = await self.started_server()
        self.client = self.server.client()

    async def asyncTearDown(self):
        await self.assert_clean_audit(self.server)

    async def ok(self, method: str, path: str, headers: dict = None) -> dict:
        """The JSON of an answer that must be 200; an empty one if the answer is text."""
        answer = await self.client.request(method, path, headers)
        self.assertEqual(answer.status, 200, f"{method} {path}: {answer}")
        return answer.json() if answer.body.startswith(b"{") else {}

    async def refused(self, method: str, path: str, problem: str, status: int = 409, headers: dict = None):
        answer = await self.client.request(method, path, headers)
        self.assertEqual((answer.status, answer.problem), (status, problem), f"{method} {path}: {answer}")

    async def item(self, price, stock: int = 0) -> str:
        item = (await self.ok("POST", f"/stock/item/create/{price}"))["item_id"]
        if stock:
            await self.ok("POST", f"/stock/add/{item}/{stock}")
        return item

    async def user(self, credit=0) -> str:
        user = (await self.ok("POST", "/payment/create_user"))["user_id"]
        if credit:
            await self.ok("POST", f"/payment/add_funds/{user}/{credit}")
        return user

    async def order(self, user: str) -> str:
        return (await self.ok("POST", f"/orders/create/{user}"))["order_id"]

    async def stock(self, item: str) -> int:
        return (await self.ok("GET", f"/stock/find/{item}"))["stock"]

    async def credit(self, user: str):
        return (await self.ok("GET", f"/payment/find_user/{user}"))["credit"]

    async def is_paid(self, order: str) -> bool:
        return (await self.ok("GET", f"/orders/find/{order}"))["paid"]
