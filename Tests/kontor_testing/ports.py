"""Ports of this machine that nobody listens on."""

import collections
import random
import socket

# A port is given before anybody listens on it: none is given twice in a row.
_given_ports = collections.deque(maxlen=5_000)


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                _given_ports.append(port)
                return port
            except OSError:
                continue
