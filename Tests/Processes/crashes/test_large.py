"""A large shop: a million orders. A restart takes as long as the journal's tail, not as the whole (design.md, the numbers)."""

import time

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.remembering.batch import Batch

_ACCOUNTS = 100_000
_ORDERS = 1_000_000
_FIRST_ANSWER_SECONDS = 2


class LargeTests(ServerCase):
    async def test_a_million_orders_are_served_2_s_after_a_kill_and_after_a_stop(self):
        """Cold orders are checked out before, between and after."""
        random = self.seeded_random()
        server = await self.started_server()
        batch = Batch(server.client(), items=_ACCOUNTS, users=_ACCOUNTS, orders=_ORDERS)
        outcomes, seconds = await self._timed(batch.initialize())
        self.assertEqual([outcome.status for outcome in outcomes], [200, 200, 200], list(map(str, outcomes)))
        self.report(f"batch_init of {_ORDERS} orders and 2 x {_ACCOUNTS} accounts: {seconds:.1f} s")

        server.kill()
        await self._restart(server, "right after batch_init and kill -9")
        await self._check_out(batch, random)
        server.kill()
        await self._restart(server, "after kill -9")
        await self._check_out(batch, random)
        code, seconds = await self._timed(server.terminate())
        self.assertEqual(code, 0)
        self.report(f"a graceful stop: {seconds:.2f} s")
        await self._restart(server, "after a graceful stop")
        await self._check_out(batch, random)
        _, seconds = await self._timed(self.assert_clean_audit(server))
        self.report(f"two audits: {seconds:.1f} s")

    async def _restart(self, server, when: str):
        await server.start()
        self.report(f"first good answer {when}: {server.seconds_to_first_answer:.2f} s")
        self.assertLess(server.seconds_to_first_answer, _FIRST_ANSWER_SECONDS, when)

    async def _check_out(self, batch: Batch, random):
        violations, seconds = await self._timed(batch.check_out_some(random, 300))
        self.assertEqual(violations, [])
        self.report(f"300 cold orders read, checked out and compared: {seconds:.2f} s")

    @staticmethod
    async def _timed(work):
        started = time.monotonic()
        return await work, time.monotonic() - started
