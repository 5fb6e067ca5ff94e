"""Partitions between processes of one machine: a network namespace of the test's own, and iptables rules in it by port.

What was sent into a partition is not lost: TCP sends it again, and it arrives when the partition ends, however late, also if
its sender has hung up meanwhile.
"""

import contextlib
import ctypes
import os
from pathlib import Path

from Tests.kontor_testing.programs import run

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()) + " (these tests need root)")


class OwnNetwork:
    """From its making on, this thread and whatever it starts are alone on a loopback of their own."""

    def __init__(self):
        self._before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _check(_libc.unshare(_CLONE_NEWNET))
        run("ip", "link", "set", "lo", "up")

    def leave(self):
        """Back to where this thread was; the network goes with its last process."""
        _check(_libc.setns(self._before, _CLONE_NEWNET))
        os.close(self._before)


@contextlib.contextmanager
def cut_off(*ports: int):
    """While the block runs, nothing passes to these ports, and nothing comes from them."""
    rules = [rule for port in ports for rule in (("--dport", str(port)), ("--sport", str(port)))]
    for rule in rules:
        run("iptables", "-w", "-A", "INPUT", "-p", "tcp", *rule, "-j", "DROP")
    try:
        yield
    finally:
        for rule in rules:
            run("iptables", "-w", "-D", "INPUT", "-p", "tcp", *rule, "-j", "DROP")


# States of a connection that its process has closed, or whose process is dead, and of which something is not acknowledged:
# FIN_WAIT1, LAST_ACK, CLOSING (include/net/tcp_states.h).
_UNDELIVERED = {"04", "09", "0B"}


def undelivered(port: int) -> bool:
    """Whether the kernel still sends to this port what a process has written that is gone."""
    lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    return any(
        int(remote.rsplit(":", 1)[1], 16) == port and state in _UNDELIVERED
        for remote, state in (line.split()[2:4] for line in lines))
