"""What the tests of whole stacks of containers share: one stack for all tests of a class, and
containers that are killed under load."""

import sys
import time

from Tests.Deploy.podman import Podman
from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.faults.troubled import Troubled
from Tests.kontor_testing.polling import eventually

# Asking podman takes a tenth of a second.
_PAUSE_SECONDS = 0.2


class StackCase(ServerCase):
    """A test of a stack: something that looks like a `Server`, and knows its `containers()`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.podman = Podman()
        cls.addClassCleanup(cls.podman.close)
        cls.podman.make_images()
        started = time.monotonic()
        cls.stack = cls.new_stack()
        cls.addClassCleanup(cls.stack.stop)
        cls.stack.start()
        print(f"\n    {cls.__name__}: it runs after {time.monotonic() - started:.0f} s", file=sys.stderr)

    @classmethod
    def new_stack(cls):
        """One that was not started yet; a subclass says which."""
        raise NotImplementedError

    def has_restarted(self, container: str, restarts: int) -> bool:
        """Whether the engine brought the container back, which had been restarted so often before."""
        return self.podman.inspect(container)["RestartCount"] == restarts + 1 and self.podman.is_healthy(container)

    async def kill_each(self, containers: list, seconds: float):
        """Kills one after the other under load. Good answers come again within so many seconds, the engine restarts the
        container, and judge and audit find nothing."""
        troubled = await Troubled.opened(self, self.stack)
        try:
            for container in containers:
                restarts = self.podman.inspect(container)["RestartCount"]

                async def crash():
                    self.podman.crash(container)
                    return time.monotonic()

                self.assertLess(await troubled.round(f"killed {container}", crash), seconds, container)
                await eventually(
                    lambda: self.has_restarted(container, restarts), f"the engine's restart of {container}", pause=_PAUSE_SECONDS)
            await self.assert_judged_well(troubled.shop)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stack.log()}") from None
        finally:
            troubled.report()
