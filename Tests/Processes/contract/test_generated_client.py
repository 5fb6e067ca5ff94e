"""A client that is generated from `/openapi.json` buys something, and is told by types what went wrong.

The generator's version is pinned in requirements-generated-client.txt, and installed into a virtual environment below `.build`.
"""

import os
import unittest
from pathlib import Path

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.programs import run_program
from Tests.kontor_testing.virtual_environment import installed

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements-generated-client.txt"
# A run that takes longer hangs.
RUN_SECONDS = 120


class TestGeneratedClient(ServerCase):
    async def test_a_generated_client_buys_something_and_gets_typed_problems(self):
        programs = await installed("generated-client", REQUIREMENTS)
        server = await self.started_server()
        client = server.client()
        self.addCleanup(client.close)
        document, package = self.scratch("openapi.json"), self.scratch("client")
        document.write_bytes((await client.get("/openapi.json")).body)
        code, output = await run_program(
            RUN_SECONDS, programs / "openapi-python-client", "generate", "--path", document, "--output-path", package,
            environment={"PATH": f"{programs}:{os.environ['PATH']}"}, directory=self.scratch("."))
        # A generator that does not know what to make of a part leaves it out, and warns.
        self.assertEqual((code, [word for word in ("Warning", "Error", "Skipping") if word in output]), (0, []), output[-6_000:])
        code, output = await run_program(
            RUN_SECONDS, programs / "python", HERE / "generated_client.py", f"http://{server.host}:{server.port}",
            environment={"PYTHONPATH": str(package)}, directory=self.scratch("."))
        self.assertEqual(code, 0, f"the generated client does not get along with the shop:\n{output[-6_000:]}")
        self.assertIn("bought ", output)
        await self.assert_clean_audit(server)


if __name__ == "__main__":
    unittest.main()
