"""The one poll for audits of a whole deployment: until the books balance, and no checkout is open any more."""

import inspect
import re

from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.programs import Failed

# Longer than an open checkout may take to be driven to its end by whoever finds it.
_SETTLING_SECONDS = 30


def says_clean(code: int, output: str) -> bool:
    """Whether `kontor audit` ended so that nothing is wrong and nothing is under way."""
    return bool(code == 0 and "The books balance." in output and re.search(r"\b0 open checkouts", output))


async def settled_audit(audit, seconds: float = _SETTLING_SECONDS) -> tuple:
    """Runs `audit`, a function or coroutine function that returns exit status and output, until it is clean, or for so long.

    Returns whether it was clean, and the last output.
    """
    output = ""

    async def is_clean():
        nonlocal output
        found = audit()
        code, output = await found if inspect.isawaitable(found) else found
        return says_clean(code, output)

    try:
        await eventually(is_clean, "a clean audit", seconds)
        return True, output
    except Failed:
        return False, output
