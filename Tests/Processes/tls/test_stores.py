"""A store at a rediss:// URL with an authority of its own."""

from Tests.kontor_testing.certificates import Authority
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import run_kontor
from Tests.kontor_testing.running.services import SERVICES
from Tests.kontor_testing.services_case import ServicesCase
from Tests.Processes.tls.case import TLSCase


class StoreTests(TLSCase, ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        pair = self.authority.sign("redis")
        self.stores, self.ports = [], []
        for name in SERVICES:
            port = free_port()
            store = self.new_redis(f"redis-{name}", {
                "tls-port": port, "tls-cert-file": pair.certificate, "tls-key-file": pair.key,
                "tls-ca-cert-file": self.authority.certificate, "tls-auth-clients": "no"})
            await store.start()
            self.stores.append(store)
            self.ports.append(port)

    def arguments(self, scheme: str = "rediss", host: str = "127.0.0.1") -> list:
        return [word for port in self.ports for word in ("--store", f"{scheme}://{host}:{port}")]

    async def test_commands_and_services_reach_it_by_its_authority(self):
        trusted = ["--store-ca", self.authority.certificate]
        code, output = await run_kontor("init", *self.arguments())
        self.assertEqual((code, "its certificate is not trusted" in output), (1, True), output)
        other = Authority(self.scratch("other")).certificate
        code, output = await run_kontor("init", *self.arguments(), "--store-ca", other)
        self.assertEqual((code, "its certificate is not trusted" in output), (1, True), output)
        code, output = await run_kontor("init", *self.arguments(), *trusted)
        self.assertEqual((code, "3 stores are initialized" in output), (0, True), output)
        for command in (["upgrade", "--finish"], ["audit"]):
            code, output = await run_kontor(*command, *self.arguments(), environment={"KONTOR_STORE_CA": str(self.authority.certificate)})
            self.assertEqual(code, 0, output)
        shop = self.new_deployment()
        for name, port in zip(SERVICES, self.ports):
            [service] = shop.replicas[name]
            service.store_url = f"rediss://127.0.0.1:{port}"
            service.extra = trusted
            service.spawn()
        for service in shop.services:
            await eventually(service.answers, f"the readiness of {service}")
        self.assertIn(f"store=rediss://127.0.0.1:{self.ports[0]}", shop.services[0].log())

    async def test_what_makes_no_sense_is_refused(self):
        authority = self.authority.certificate
        for options, words in (
            ([*self.arguments("redis"), "--store-ca", authority], "is for rediss:// URLs"),
            ([*self.arguments(), "--store-ca", self.scratch("none.pem")], "none.pem cannot be read"),
            ([*self.arguments(), "--store-ca", self.authority.sign("x").key], "has no certificate in PEM form"),
        ):
            code, output = await run_kontor("init", *options)
            self.assertNotEqual(code, 0, output)
            self.assertIn(words, output)
        code, output = await run_kontor("serve", "--data", self.scratch("data"), "--store-ca", authority)
        self.assertIn("needs --service", output)
