"""P7: links between the three services with certificates on both sides, and who is refused, with a sentence in the logs."""

import asyncio

from Tests.kontor_testing.certificates import Authority, Pair
from Tests.kontor_testing.http_client import Client, get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.remembering.shop import Shop
from Tests.kontor_testing.running.services import SERVICES, Deployment
from Tests.kontor_testing.services_case import ServicesCase
from Tests.Processes.tls.case import TLSCase, client_context, shake_hands

_SERVICES = {"orders": "order", "payment": "payment", "stock": "stock"}


class _Front:
    """A client of all three services: it asks the one whose prefix the path has, as a gateway does."""

    def __init__(self, deployment: Deployment):
        self._clients = {
            name: Client(deployment.replicas[name][0].port, 16, tls=deployment.tls) for name in SERVICES}
        self.sent = 0

    async def request(self, method: str, path: str, headers: dict = None):
        return await self._clients[_SERVICES[path.split("/")[1]]].request(method, path, headers)

    async def get(self, path: str):
        return await self.request("GET", path)

    async def post(self, path: str, headers: dict = None):
        return await self.request("POST", path, headers)

    async def delete(self, path: str):
        return await self.request("DELETE", path)


class LinkTests(TLSCase, ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.shop = self.new_deployment()
        self.shop.tls = self.trusting
        self.pairs = {name: self.authority.sign(name) for name in SERVICES}
        for name in SERVICES:
            self.use(name, self.pairs[name])
        await self.shop.start_stores()
        await self.shop.initialize()

    def service(self, name: str):
        return self.shop.replicas[name][0]

    def use(self, name: str, pair: Pair):
        authority = self.authority.certificate
        self.service(name).extra = [*pair.options, "--tls-client-ca", authority, "--tls-ca", authority]

    async def start(self, *names: str):
        for name in names:
            self.service(name).spawn()
        for name in names:
            await eventually(self.service(name).answers, f"the readiness of {name}")

    async def test_three_services_with_certificates_on_both_sides_sell(self):
        # One of them by its name, the others by their addresses.
        self.shop.urls["stock"] = [f"https://localhost:{self.service('stock').internal_port}"]
        await self.start(*SERVICES)
        await self.sold_something(_Front(self.shop))
        await self.assert_clean_audit(self.shop)
        for name in SERVICES:
            log = self.service(name).log()
            self.assertIn("https://127.0.0.1", log)
            self.assertNotIn("without good TLS", log)
            # Operators come without a certificate, and with the secret.
            client = Client(self.service(name).internal_port, 1, tls=self.trusting)
            self.assertEqual((await client.get("/metrics")).status, 401)
            answer = await client.request("GET", "/metrics", {"Authorization": f"Bearer {self.shop.secret}"})
            self.assertEqual(answer.status, 200)
            self.assertIn(b"kontor_tls_certificate_end_seconds", answer.body)
            client.close()

    async def test_a_link_without_a_certificate_is_refused_in_both_logs(self):
        stock = self.service("stock")
        stock.extra = ["--tls-ca", self.authority.certificate]
        self.service("order").spawn()
        stock.spawn()
        sentence = "the client has no certificate, and the server demands one"
        await self.logged(stock, "A link is closed", "service=order", sentence)
        await self.logged(self.service("order"), "A link is refused", sentence)
        # And the server of this client speaks no TLS.
        await self.logged(self.service("order"), "A link is closed", "service=stock", "it does not speak TLS")

    async def test_bad_certificates_are_refused_with_the_reason(self):
        """Stock has a bad one: Order refuses it as a client and as a server, and names it."""
        other = Authority(self.scratch("other"), "other authority")
        order, stock = self.service("order"), self.service("stock")
        await self.start_without_stock()
        for pair, as_client, as_server in (
            (other.sign("foreign"), "is not signed by", f"is not signed by {self.authority.certificate}"),
            (other.self_signed("alone"), "is self-signed", "is self-signed"),
            (self.authority.sign("elsewhere", names="DNS:stock.example"), "is not for 127.0.0.1", None),
            (self.authority.sign("brief", days=6 / 86_400), "has expired on", "has expired on"),
        ):
            name = pair.certificate.stem
            self.use("stock", pair)
            stock.spawn()
            if name == "brief":
                await asyncio.sleep(7)
                order.kill()
                order.spawn()
            line = await self.logged(order, "A link is closed", "service=stock", name, as_client, seconds=25)
            self.assertIn(f"replica=127.0.0.1:{stock.internal_port}", line)
            if as_server:
                await self.logged(order, "A connection without good TLS is refused", "listener=internal", name, as_server, seconds=25)
                await self.logged(stock, "A link is closed", "service=order", seconds=25)
            stock.kill()
        self.use("stock", self.pairs["stock"])
        await self.start("stock")
        await eventually(order.answers, "the readiness of order, now that stock has a good certificate")
        await self.sold_something(_Front(self.shop))

    async def start_without_stock(self):
        self.service("order").spawn()
        self.service("payment").spawn()
        await eventually(self.service("payment").answers, "the readiness of payment")

    async def test_a_server_of_another_authority_is_refused_by_its_clients(self):
        """Order trusts another authority than the one that signed the others' certificates."""
        other = Authority(self.scratch("other"), "other authority")
        order = self.service("order")
        order.extra = [*self.pairs["order"].options, "--tls-client-ca", self.authority.certificate, "--tls-ca", other.certificate]
        for name in SERVICES:
            self.service(name).spawn()
        await self.logged(order, "A link is closed", "service=stock", "is not signed by", str(other.certificate))
        await self.logged(self.service("stock"), "A connection without good TLS is refused", "does not know who signed")

    async def test_certificates_are_replaced_under_load_and_new_links_use_them(self):
        await self.start(*SERVICES)
        shop = Shop(_Front(self.shop))
        item, user = await shop.create_item(100, 1_000_000), await shop.create_user(1_000_000_000)
        is_over = False
        statuses = []

        async def sell():
            while not is_over:
                statuses.append((await shop.checkout(await shop.order_of(user, {item: 1}))).status)

        sellers = [asyncio.create_task(sell()) for _ in range(8)]
        try:
            serials = {name: await self.serial(name) for name in SERVICES}
            for name in SERVICES:
                self.pairs[name].replace_by(self.authority.sign(f"{name}-renewed"))

            async def are_new():
                return all([await self.serial(name) != serials[name] for name in SERVICES])

            await eventually(are_new, "the new certificates", seconds=10, pause=0.1)
            await asyncio.sleep(1)
        finally:
            is_over = True
            await asyncio.gather(*sellers)
        self.assertEqual(set(statuses), {200}, statuses)
        self.assertGreater(len(statuses), 20)
        # Links that are made from now on bear the new ones, and trust what the files say now.
        new = Authority(self.scratch("new"), "new authority")
        for name in SERVICES:
            self.pairs[name].replace_by(new.sign(f"{name}-new"))
        self.authority.certificate.write_bytes(new.certificate.read_bytes())
        for name in SERVICES:
            await self.logged(self.service(name), "The certificates have changed, and were read again")
        await asyncio.sleep(2.5)
        self.shop.tls = client_context(new)
        stock = self.service("stock")
        stock.kill()
        await self.start("stock")
        await eventually(self.service("order").answers, "the readiness of order, over a new link")
        await self.sold_something(_Front(self.shop))
        await self.assert_clean_audit(self.shop)

    async def serial(self, name: str) -> str:
        return (await shake_hands(self.service(name).internal_port, self.trusting)).getpeercert()["serialNumber"]
