"""The suites of `test/` can fail: each finds the lies of a gateway that it has to find, and an honest gateway goes unaccused."""

from Tests.kontor_testing.case import ServerCase
from Tests.Processes.suites import suites
from Tests.Processes.suites.lying_gateway import LIES, LIES_OF_RESERVATIONS, LyingGateway

# Of the checkouts of one consistency run.
_FEW = 3


class JudgeTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = await self.started_server()

    async def gateway(self, *lie) -> LyingGateway:
        gateway = LyingGateway(self.server.port, *lie)
        await gateway.start()
        self.addCleanup(gateway.kill)
        return gateway

    async def consistency(self, gateway: LyingGateway, *options) -> suites.Finding:
        return await suites.consistency(gateway.port, "--items", 10, "--users", 100, "--checkouts", 100, *options)

    async def test_the_consistency_test_finds_a_few_lies_of_each_kind(self):
        for lie, kind in LIES.items():
            for options in ((), ("--one-item",)):
                with self.subTest(lie, options=options):
                    # One order that was refused in vain proves nothing if somebody else buys the unit.
                    times = () if lie == "all are refused" else (_FEW,)
                    gateway = await self.gateway(lie, *times)
                    code, output, _ = await self.consistency(gateway, *options)
                    self.assertGreater(gateway.lies_told, 0)
                    self.assertEqual(code, 1, output)
                    self.assertNotIn(f"{kind} 0", output)

    async def test_the_consistency_test_does_not_accuse_an_honest_gateway(self):
        code, output, _ = await self.consistency(await self.gateway())
        self.assertEqual(code, 0, output)

    async def test_the_correctness_suite_finds_each_lie(self):
        for lie in (*LIES, *LIES_OF_RESERVATIONS):
            with self.subTest(lie):
                gateway = await self.gateway(lie)
                code, output, _ = await suites.microservices(gateway.port, "--failfast")
                self.assertGreater(gateway.lies_told, 0)
                self.assertEqual(code, 1, output)

    async def test_the_correctness_suite_does_not_accuse_an_honest_gateway(self):
        code, output, _ = await suites.microservices((await self.gateway()).port)
        self.assertEqual(code, 0, output)

    async def test_the_stress_test_sees_sales_of_what_is_not_there_and_refusals_of_what_is(self):
        for lie in ("a refusal is told as a sale", "a sale is told as a refusal", *LIES_OF_RESERVATIONS):
            with self.subTest(lie):
                gateway = await self.gateway(lie)
                code, output, _ = await suites.stress(gateway.port, self.scratch("stress"), seconds=3)
                self.assertGreater(gateway.lies_told, 0)
                self.assertEqual(code, 1, output)
