"""The secrets of three services with the real binary: replaced under load, one for each purpose, and shown nowhere."""

import asyncio
import resource
import secrets
from pathlib import Path

from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.remembering.shop import Shop
from Tests.kontor_testing.running.services import SERVICES, Deployment, Service
from Tests.kontor_testing.services_case import ServicesCase

_READ_AGAIN = "The secrets have changed, and were read again"
_NOT_READ = "The secrets have changed and cannot be read; those of before stay"
# What a link's handshake answers to who asks for no protocol: that comes behind the secret.
_SECRET_IS_GOOD = 426


def _replace(path: Path, *lines: str):
    """As operators should: the file is never there by half."""
    path.with_suffix(".new").write_text("".join(f"{line}\n" for line in lines))
    path.with_suffix(".new").replace(path)


def _times(service: Service, message: str) -> int:
    return service.log_path.read_text().count(message)


async def _ask(service: Service, method: str, path: str, secret: str = None):
    """What the internal listener answers to who bears a secret or token."""
    client = Client(service.internal_port, connections=1)
    try:
        return await client.request(method, path, {"Authorization": f"Bearer {secret}"} if secret else None)
    finally:
        client.close()


class SecretsCase(ServicesCase):
    def secret_file(self, service: Service, purpose: str = "secret") -> Path:
        """Each process has its own, since they are not all replaced at once."""
        return self.scratch(f"{service.name}.{purpose}")

    async def replace(self, services: list, *lines: str, purpose: str = "secret", message: str = _READ_AGAIN):
        """Replaces the files of these services, and waits until each has logged that it has looked at its own."""
        before = {service: _times(service, message) for service in services}
        for service in services:
            _replace(self.secret_file(service, purpose), *lines)
        for service in services:
            await eventually(lambda service=service: _times(service, message) > before[service], f"{message}: {service}")

    async def opens_links(self, service: Service, secret: str) -> bool:
        answer = await _ask(service, "GET", "/internal/link", secret)
        self.assertIn(answer.status, (401, _SECRET_IS_GOOD), f"{service}: {answer}")
        return answer.status == _SECRET_IS_GOOD


class RotationTests(SecretsCase):
    async def test_the_secret_of_links_is_replaced_under_load_and_no_request_fails(self):
        """A replica of each service is restarted in the midst of each step, and all in the end, so that links are made anew."""
        random = self.seeded_random()
        deployment = self.new_deployment(replicas=2)
        old, new = secrets.token_hex(16), secrets.token_hex(16)
        for service in deployment.services:
            _replace(self.secret_file(service), old)
            service.environment = {"KONTOR_SECRET_FILE": str(self.secret_file(service))}
        await deployment.start()
        shop = Shop(deployment.client())
        item, user = await shop.create_item(100, 1_000_000), await shop.create_user(1_000_000_000)
        is_over = False

        async def sell():
            while not is_over:
                order = await shop.order_of(user, {item: 1})
                if order is None:
                    return
                await shop.checkout(order)

        sellers = [asyncio.create_task(sell()) for _ in range(8)]
        try:
            for lines in ((old, new), (new, old), (new,)):
                services = random.sample(deployment.services, len(deployment.services))
                await self.replace(services[:3], *lines)
                for name in SERVICES:
                    await self.restart(random.choice(deployment.replicas[name]))
                await self.replace(services[3:], *lines)
            for service in deployment.services:
                await self.restart(service)
                self.assertEqual([await self.opens_links(service, secret) for secret in (old, new)], [False, True], service)
        finally:
            is_over = True
            await asyncio.gather(*sellers)
        await deployment.wait_until_ready()
        self.report(f"a rotation under load, {len(deployment.services) + 3 * len(SERVICES)} restarts: {dict(shop.history.tally)}")
        self.assertEqual(set(shop.history.tally), {200})
        self.assertGreater(shop.history.answers, 200)
        for service in deployment.services:
            refused = [line for line in service.log_path.read_text().splitlines()
                       if "A link is closed" in line and "the secret is another one" in line]
            self.assertEqual(refused, [], f"{service} presented a secret that another one did not take")
        await self.assert_judged_well(shop)
        await self.assert_clean_audit(deployment)

    async def restart(self, service: Service):
        self.assertEqual(await service.terminate(), 0, service.log())
        await service.start()


class PurposeTests(SecretsCase):
    async def started(self) -> Deployment:
        """A deployment whose services have a secret for links and another one for metrics."""
        deployment = self.new_deployment()
        self.link, self.metrics = secrets.token_hex(16), secrets.token_hex(16)
        for service in deployment.services:
            _replace(self.secret_file(service), self.link)
            _replace(self.secret_file(service, "metrics"), self.metrics)
            service.environment = {
                "KONTOR_SECRET_FILE": str(self.secret_file(service)),
                "KONTOR_METRICS_SECRET_FILE": str(self.secret_file(service, "metrics"))}
        await deployment.start()
        return deployment

    async def test_the_secret_for_metrics_opens_metrics_and_nothing_else(self):
        deployment = await self.started()
        for service in deployment.services:
            for secret, status in ((None, 401), (self.link, 401), (self.metrics, 200)):
                answer = await _ask(service, "GET", "/metrics", secret)
                self.assertEqual(answer.status, status, f"{service}: {answer}")
            self.assertFalse(await self.opens_links(service, self.metrics), service)
            self.assertTrue(await self.opens_links(service, self.link), service)
        for name, method, path in (
            ("stock", "POST", "/stock/item/create/5"), ("payment", "POST", "/payment/create_user"), ("stock", "GET", "/stock/find/x"),
            ("order", "GET", "/orders/find/x"),
        ):
            [service] = deployment.replicas[name]
            self.assertEqual((await _ask(service, method, path, self.metrics)).status, 401, path)
            self.assertNotEqual((await _ask(service, method, path, self.link)).status, 401, path)

    async def test_the_secret_for_metrics_is_replaced_and_a_file_with_a_mistake_changes_nothing(self):
        deployment = await self.started()
        [stock] = deployment.replicas["stock"]

        async def opened(*asked: str) -> list:
            return [(await _ask(stock, "GET", "/metrics", secret)).status == 200 for secret in asked]

        old, new = self.metrics, secrets.token_hex(16)
        await self.replace([stock], new, old, purpose="metrics")
        self.assertEqual(await opened(old, new), [True, True])
        await self.replace([stock], new, purpose="metrics")
        self.assertEqual(await opened(old, new), [False, True])
        for lines, reason in (
            ((old, "a b c"), "secret 2 has fewer than 16 characters"), ((old, new, self.link), "there are 3 lines, and at most 2"),
            ((), "there is no secret"),
        ):
            await self.replace([stock], *lines, purpose="metrics", message=_NOT_READ)
            self.assertIn(reason, stock.log())
            self.assertEqual(await opened(old, new), [False, True], reason)
        # The same of links.
        await self.replace([stock], self.link, old, new, message=_NOT_READ)
        self.assertTrue(await self.opens_links(stock, self.link))
        self.assertFalse(await self.opens_links(stock, old))

    async def test_secrets_that_cannot_be_used_are_refused_at_the_start_with_a_sentence(self):
        good, other, third = (secrets.token_hex(16) for _ in range(3))
        paths = {}
        for name, lines in (("good", [good]), ("three", [good, other, third]), ("short", [good, "too short, pal"]), ("empty", [])):
            paths[name] = self.scratch(name)
            _replace(paths[name], *lines)
        for words, environment, sentence in (
            (["--secret-file", paths["three"]], {}, "there are 3 lines, and at most 2 may have a secret"),
            (["--secret-file", paths["short"]], {}, "secret 2 has fewer than 16 characters"),
            (["--secret-file", paths["empty"]], {}, "there is no secret"),
            (["--secret-file", self.scratch("none")], {}, "the file of secrets"),
            ([], {}, "there is no secret"),
            ([], {"KONTOR_SECRET": f"{good}\n{other}"}, "there are 2 lines, and at most 1 may have a secret"),
            (["--secret-file", paths["good"], "--metrics-secret-file", paths["three"]], {}, "there are 3 lines"),
            (["--secret-file", paths["good"], "--metrics-secret-file", paths["good"], "--auth", paths["empty"],
              "--trusted-proxies", "127.0.0.1"], {}, "With --auth give whoever reads /metrics a token"),
        ):
            code, output = await run_kontor(
                "serve", "--service", "stock", "--store", "redis://127.0.0.1:1", "--order-url", "http://127.0.0.1:1", "--port", 0,
                "--internal-port", 0, *words, environment=environment)
            self.assertNotEqual(code, 0, output)
            self.assertIn(sentence, output)
            for secret in (good, other, third, "too short, pal"):
                self.assertNotIn(secret, output)
        code, output = await run_kontor("serve", "--data", self.scratch("data"), "--metrics-secret-file", paths["good"])
        self.assertNotEqual(code, 0, output)
        self.assertIn("--metrics-secret-file (KONTOR_METRICS_SECRET_FILE) needs --service", output)


class _Bearer(Client):
    """A client that bears a token."""

    def __init__(self, port: int, token: str):
        super().__init__(port)
        self._token = token

    async def request(self, method: str, path: str, headers: dict = None):
        return await super().request(method, path, {"Authorization": f"Bearer {self._token}", **(headers or {})})


class HiddenTests(SecretsCase):
    async def test_no_secret_stands_in_logs_answers_or_command_lines(self):
        """Order and payment ask for tokens; stock has a secret for metrics, and payment's Redis has a password."""
        deployment = self.new_deployment()
        link, metrics, later, password = (secrets.token_hex(16) for _ in range(4))
        await deployment.start_stores()
        await deployment.initialize()
        deployment.stores["payment"].ask("CONFIG", "SET", "requirepass", password)
        _replace(self.scratch("password"), password)
        scopes = "read,orders,payments,admin,metrics,operate"
        code, token = await run_kontor("token", "new", "--auth", self.scratch("tokens"), "--name", "all", "--scopes", scopes)
        self.assertEqual(code, 0, token)
        token = token.strip()
        for service in deployment.services:
            _replace(self.secret_file(service), link)
            service.environment = {"KONTOR_SECRET_FILE": str(self.secret_file(service)), "KONTOR_LOG_LEVEL": "debug"}
        [order], [payment], [stock] = (deployment.replicas[name] for name in SERVICES)
        for service in (order, payment):
            service.extra = ["--auth", self.scratch("tokens"), "--trusted-proxies", "127.0.0.1"]
        _replace(self.secret_file(stock, "metrics"), metrics)
        stock.extra = ["--metrics-secret-file", self.secret_file(stock, "metrics")]
        payment.store_url = f"redis://default@127.0.0.1:{deployment.stores['payment'].port}"
        payment.extra += ["--store-password-file", self.scratch("password")]
        await deployment.start()
        client = _Bearer(deployment.port, token)
        self.addCleanup(client.close)
        await self.sold_something(client)

        wrong = [secret[:-1] + "!" for secret in (link, metrics, token)]
        told = []
        for service in deployment.services:
            for secret in (link, metrics, token, *wrong):
                for method, path in (("GET", "/metrics"), ("POST", "/stock/item/create/1"), ("GET", "/internal/link"), ("GET", "/nothing")):
                    told.append((await _ask(service, method, path, secret)).body.decode())
        self.assertTrue(any("kontor_ready 1" in text for text in told))
        self.assertTrue(any("token-needed" in text for text in told))
        # What is read again, with success and with a mistake; and what is refused for that.
        await self.replace(deployment.services, later, link)
        for lines in ((later, link, metrics), (later, link[:12])):
            await self.replace(deployment.services, *lines, message=_NOT_READ)
        self.scratch("tokens").write_text(self.scratch("tokens").read_text() + f"all {scopes} {token} never\n")
        await eventually(lambda: _times(order, "The tokens have changed and cannot be read"), "a token file with a mistake")

        commands = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                    for process in (*deployment.services, deployment.gateway) for pid in process.group()]
        self.assertTrue(any("--store-password-file" in command for command in commands), commands)
        await deployment.terminate()
        logs = [process.log_path.read_text() for process in deployment.processes]
        self.assertTrue(all(logs))
        for secret in (link, metrics, later, password, token, *wrong, link[:12]):
            for text in (*told, *commands, *logs):
                self.assertNotIn(secret, text)

    async def test_a_shop_that_crashes_leaves_no_image_of_its_memory(self):
        """Whatever the system allows: a service, and a whole shop."""
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            deployment, server = await self.started_deployment(), await self.started_server()
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, limits)
        self.assertIn("unlimited", self.core_limit(deployment.gateway.pid), "what a process gets that does nothing about it")
        for process in (*deployment.services, server):
            self.assertEqual(self.core_limit(process.pid).split()[:2], ["0", "0"], process)

    def core_limit(self, pid: int) -> str:
        [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core file size")]
        return line.removeprefix("Max core file size")
