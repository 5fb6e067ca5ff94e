"""Processes of two releases over one store, under load: forth, back, and forth for good (`make test-mixed`).

The older release is the binary in KONTOR_OLD_BINARY; without it these tests are skipped."""

import asyncio
import os

from Tests.kontor_testing.faults.troubled import Troubled
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import BINARY, run_program
from Tests.kontor_testing.running.services import SERVICES
from Tests.kontor_testing.services_case import ServicesCase

OLD_BINARY = os.environ.get("KONTOR_OLD_BINARY", "")
_PATIENCE_SECONDS = 60


class MixedTests(ServicesCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        if not OLD_BINARY:
            self.skipTest("make test-mixed runs it: KONTOR_OLD_BINARY names no older release here")

    async def test_old_and_new_processes_share_a_store_forth_and_back(self):
        deployment = self.new_deployment(replicas=2)
        for service in deployment.services:
            service.binary = OLD_BINARY
        await deployment.start_stores()
        await self._run(0, OLD_BINARY, "init", *deployment.store_arguments)
        await deployment.start()
        troubled = await Troubled.opened(self, deployment)
        try:
            first = [deployment.replicas[name][0] for name in SERVICES]
            second = [deployment.replicas[name][1] for name in SERVICES]
            for name, services, binary in (
                    ("one of two is new", first, BINARY), ("both are new", second, BINARY),
                    ("one of two is old again", first, OLD_BINARY), ("both are old again", second, OLD_BINARY),
                    ("one of two is new again", first, BINARY), ("both are new again", second, BINARY)):
                await troubled.round(name, lambda s=services, b=binary: self._replace(s, b))
            # From here on there is no way back.
            await troubled.round("upgraded", lambda: self._upgrade(deployment))
            code, output = await self._start_alone(deployment, OLD_BINARY)
            self.assertNotEqual(code, 0, "the old release starts over a store in the new format")
            self.report(f"the old release: {output.strip().splitlines()[-1]}")
            code, output = await run_program(_PATIENCE_SECONDS, OLD_BINARY, "init", *deployment.store_arguments)
            self.assertNotEqual(code, 0, f"the old release initializes a store in the new format: {output}")
            await troubled.round("restarted in the new format", lambda: self._replace(first + second, BINARY))
            # What the older release could not have read.
            await self._run(0, BINARY, "upgrade", "--finish", *deployment.store_arguments)
        finally:
            troubled.report()

    async def _replace(self, services, binary) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for service in services:
            self.assertEqual(await service.terminate(), 0, service.log())
            service.binary = binary
            await service.start()
        return began

    async def _upgrade(self, deployment) -> float:
        began = asyncio.get_running_loop().time()
        await self._run(0, BINARY, "upgrade", "--finish", *deployment.store_arguments)
        await eventually(deployment.services[0].answers, "readiness after the upgrade")
        return began

    async def _start_alone(self, deployment, binary) -> tuple:
        """Starts one more process of the stock service over the store, and waits for its end."""
        stock = deployment.replicas["stock"][0]
        words = [word for word in map(str, stock.command())]
        for option in ("--port", "--internal-port"):
            words[words.index(option) + 1] = "0"
        words[0] = binary
        return await run_program(_PATIENCE_SECONDS, *words, environment=stock.environment)

    async def _run(self, wanted: int, binary, *arguments):
        code, output = await run_program(_PATIENCE_SECONDS, binary, *arguments)
        self.assertEqual(code, wanted, output)
        self.report(output.strip())
