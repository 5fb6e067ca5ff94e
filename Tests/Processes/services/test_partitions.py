"""Services that cannot reach each other, or their stores, for a while; what was sent into the silence arrives afterwards
(P1, P2, P5)."""

import asyncio
import time

from Tests.kontor_testing.faults.partition import OwnNetwork, cut_off, undelivered
from Tests.kontor_testing.faults.troubled import Troubled
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.running.services import SERVICES
from Tests.kontor_testing.services_case import FAULTS, SETTLING_SECONDS, ServicesCase

# Shorter and longer than the deadline of a checkout.
_SILENCE_SECONDS = (0.5, 7.0)


class PartitionTests(ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("ip", "iptables")
        self.addCleanup(OwnNetwork().leave)

    async def _silence(self, troubled: Troubled, name: str, *ports: int):
        async def fault() -> float:
            with cut_off(*ports):
                await asyncio.sleep(troubled.random.uniform(*_SILENCE_SECONDS))
            return time.monotonic()

        seconds = await troubled.round(name, fault)
        self.assertLess(seconds, SETTLING_SECONDS, name)

    async def test_nothing_is_lost_or_done_twice_when_services_do_not_hear_each_other(self):
        """Order and payment, order and stock; each asks the other."""
        troubled = await Troubled.opened(self, await self.started_deployment())
        [order] = troubled.deployment.replicas["order"]
        try:
            for _ in range(FAULTS):
                for name in ("payment", "stock"):
                    [other] = troubled.deployment.replicas[name]
                    # The public ports stay open: clients are served meanwhile, as far as that goes.
                    await self._silence(troubled, f"order | {name}", other.internal_port)
                await self._silence(troubled, "order | payment, stock", order.internal_port)
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()

    async def test_nothing_is_lost_or_done_twice_when_a_service_does_not_reach_its_store(self):
        troubled = await Troubled.opened(self, await self.started_deployment())
        try:
            for _ in range(FAULTS):
                for name in SERVICES:
                    await self._silence(troubled, f"{name} | its store", troubled.deployment.stores[name].port)
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()

    async def test_a_service_that_is_killed_in_a_partition_writes_late_and_without_effect_on_its_successor(self):
        """Its commits wait in the kernel, which delivers them when the partition ends: its successor has settled what they
        would change."""
        troubled = await Troubled.opened(self, await self.started_deployment())
        try:
            for _ in range(FAULTS):
                for name in SERVICES:
                    [service], store = troubled.deployment.replicas[name], troubled.deployment.stores[name]

                    async def fault() -> float:
                        with cut_off(store.port):
                            # Long enough for the requests on their way to be written into the silence.
                            await asyncio.sleep(troubled.random.uniform(0.05, 0.5))
                            service.kill()
                            service.spawn()
                            await asyncio.sleep(troubled.random.uniform(0, 0.5))
                        began = time.monotonic()
                        # Whose client was told that nobody knows may still be done: the judge looks when all is there.
                        await eventually(lambda: not undelivered(store.port), "the end of what was on its way to the store", 20)
                        return began

                    seconds = await troubled.round(f"{name} killed | its store", fault)
                    self.assertLess(seconds, SETTLING_SECONDS, name)
            await self.assert_judged_well(troubled.shop)
        finally:
            troubled.report()
