"""Little memory: a control group with a limit, as container runtimes make them. Needs root."""

import contextlib
import os
from pathlib import Path

from Tests.kontor_testing.polling import eventually_blocking

_ROOT = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def memory_limit(size: int):
    """While the block runs: the words before a command that run it in a control group of so many bytes, and become it."""
    is_unified = (_ROOT / "cgroup.controllers").exists()
    group = (_ROOT if is_unified else _ROOT / "memory") / f"kontor-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.max" if is_unified else "memory.limit_in_bytes")).write_text(str(size))
        yield ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group]
    finally:
        # Its processes may be about to end.
        eventually_blocking(lambda: _is_removed(group), f"the end of {group}")


def _is_removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
