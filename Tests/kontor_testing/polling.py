"""The one way to wait for something: ask until it is so, or fail when it takes too long."""

import asyncio
import inspect
import time

from Tests.kontor_testing.programs import PATIENCE_SECONDS, Failed


async def eventually(condition, what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.005):
    """Polls `condition`, a function or coroutine function, until it gives something true, which is returned.

    Raises `Failed`, which names `what`, after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {seconds} s")
        await asyncio.sleep(pause)


def eventually_blocking(condition, what: str, seconds: float = PATIENCE_SECONDS):
    """The same where nothing else has to go on meanwhile: `condition` is a function, and is asked five times a second."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {seconds} s")
        time.sleep(0.2)
    return value
