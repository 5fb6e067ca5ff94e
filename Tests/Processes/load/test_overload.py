"""More than the shop can do: refused at once and without effect, and forgotten as soon as it is over (P7)."""

from Tests.kontor_testing.case import ServerCase
from Tests.Processes.load.overload import Overload, Plan


class OverloadTests(ServerCase):
    async def test_an_overload_is_refused_without_effect_and_leaves_nothing_behind(self):
        """`make overload` for a few seconds, and with bounds that hold on a busy machine: the figures are not the point."""
        server = await self.started_server()
        plan = Plan(
            is_pinned=False, peak_seconds=2, overload_seconds=4, rest_seconds=1, settle_seconds=1, orders=900_000,
            basket=2, users=10_000, least_goodput=0.2, most_unsent=1, refusal_milliseconds=5_000, least_peak_after=0.3,
            most_latency_after=5, latency_allowance_milliseconds=100)
        findings = await Overload(server, plan, show=self.report).run()
        for finding in findings:
            self.report(str(finding))
        self.assertEqual([str(finding) for finding in findings if not finding.is_good], [])
        await self.assert_clean_audit(server)
