"""The suites of `test/`, which anybody can run against any shop, find nothing in this one (`make test-public`: at length)."""

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.services_case import ServicesCase
from Tests.Processes.suites import suites


class EmbeddedTests(ServerCase):
    """One process with the embedded store."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = await self.started_server()

    async def test_the_correctness_suite_finds_nothing(self):
        """Twice: what the first run left in the shop is nothing to the second."""
        for _ in range(2):
            self.assert_found_nothing(await suites.microservices(self.server.port))
        await self.assert_clean_audit(self.server)

    async def test_a_thousand_checkouts_at_once_over_a_hundred_units_are_consistent(self):
        for options in ((), ("--one-item",)):
            self.assert_found_nothing(await suites.consistency(self.server.port, "--runs", suites.CONSISTENCY_RUNS, *options))
        await self.assert_clean_audit(self.server)

    async def test_the_nine_scenarios_of_the_stress_test_see_no_failure(self):
        self.assert_found_nothing(await suites.stress(self.server.port, self.scratch("stress")))
        await self.assert_clean_audit(self.server)

    def assert_found_nothing(self, finding: suites.Finding):
        self.assertEqual(finding.code, 0, finding.output)
        self.report(finding.summary)


class ServicesTests(ServicesCase, EmbeddedTests):
    """Three services over Redis, two replicas of each, behind the gateway."""

    async def started_server(self, directory=None):
        return await self.started_deployment(replicas=2)
