"""Clients that only take up room, all of one address, in a process of their own. Run by test_crowds.py.

    python3 -m Tests.Processes.access.crowd KIND COUNT PORT

`idle` ones say nothing. `heads` and `bodies` send one byte of a request each second. `deaf` ones ask for many large pages and
read nothing. Whoever is hung up on comes again, some seconds later. Says "here" when all have connected once, and goes on until
its input ends; then it says what became of them, as JSON.
"""

import contextlib
import errno
import json
import os
import resource
import select
import socket
import struct
import sys
import time

ADDRESS = "127.0.0.3"
# Each client has its turn once a second, in one of so many groups.
_TURNS = 100
# Turns that a client who was hung up on waits, and turns after which a deaf one comes again: it does not notice its end.
_PAUSE = 5
_DEAF_LIFE = 20
# New connections of one group's turn, so that it is a crowd, and no flood of connections.
_AT_ONCE = 40
_HEAD = b"GET /stock/find/x HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 1_000
_BODY_HEAD = b"POST /payment/create_user HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
_LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 40
# linux/in.h: the port is chosen when one connects, so that all ports may be used.
_BIND_ADDRESS_NO_PORT = 24
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class _Client:
    """One connection after the other."""

    def __init__(self, crowd):
        self._crowd = crowd
        self._socket = None
        self._sent = 0
        self._wait = 0
        self._age = 0

    def turn(self):
        """Does what is due this second."""
        if self._socket is None:
            if self._wait > 0:
                self._wait -= 1
            elif self._crowd.may_connect():
                self._connect()
            return
        self._age += 1
        said = self._crowd.said
        if self._crowd.is_slow and self._sent < len(said):
            with contextlib.suppress(OSError):
                self._sent += self._socket.send(said[self._sent : self._sent + 1])
        elif self._crowd.kind == "deaf" and self._age >= _DEAF_LIFE:
            self.hung_up()
            self._wait = 0

    def _connect(self):
        crowd = self._crowd
        self._socket = new = socket.socket()
        new.setblocking(False)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        new.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        if crowd.kind == "deaf":
            new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        new.bind((ADDRESS, 0))
        code = new.connect_ex(("127.0.0.1", crowd.port))
        if code not in (0, errno.EINPROGRESS):
            crowd.failed += 1
            return self.hung_up()
        # A deaf one does not hear an answer, but the end.
        crowd.register(new, self, select.EPOLLRDHUP if crowd.kind == "deaf" else select.EPOLLIN | select.EPOLLRDHUP)
        self._sent = self._age = 0
        crowd.connected += 1
        if crowd.at_once:
            with contextlib.suppress(OSError):
                new.send(crowd.at_once)

    def heard(self):
        """The server said something: a refusal, or the end."""
        with contextlib.suppress(OSError):
            if self._crowd.kind != "deaf":
                said = self._socket.recv(4_096)
                if said:
                    status = said[9:12].decode("latin-1")
                    self._crowd.told[status] = self._crowd.told.get(status, 0) + 1
        self.hung_up()
        self._crowd.hung_up += 1

    def hung_up(self):
        """Closes the connection; the client comes again."""
        self._crowd.forget(self._socket)
        self._socket.close()
        self._socket = None
        self._wait = _PAUSE


class _Crowd:
    def __init__(self, kind: str, count: int, port: int):
        self.kind, self.port = kind, port
        self.is_slow = kind in ("heads", "bodies")
        self.said = {"heads": _HEAD, "bodies": b"x" * 1_000}.get(kind, b"")
        self.at_once = {"bodies": _BODY_HEAD, "deaf": _LARGE}.get(kind, b"")
        self.connected = self.failed = self.hung_up = 0
        self.told = {}
        self._poll = select.epoll()
        self._by_file = {}
        self._left = 0
        self._groups = [[] for _ in range(_TURNS)]
        for number in range(count):
            self._groups[number % _TURNS].append(_Client(self))

    def register(self, new: socket.socket, client: _Client, events: int):
        self._by_file[new.fileno()] = client
        self._poll.register(new, events)

    def forget(self, old: socket.socket):
        self._by_file.pop(old.fileno(), None)

    def may_connect(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def run(self, count: int):
        """Until the input ends."""
        self._poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        due, number, is_here = time.monotonic(), 0, False
        while True:
            for file, _ in self._poll.poll(max(0, due - time.monotonic())):
                if file == sys.stdin.fileno():
                    return
                client = self._by_file.get(file)
                if client is not None:
                    client.heard()
            now = time.monotonic()
            if now < due:
                continue
            # A crowd that is late does not make up for it: it must not become a flood.
            due = max(due + 1 / _TURNS, now)
            self._left = _AT_ONCE
            for client in self._groups[number % _TURNS]:
                client.turn()
            number += 1
            if not is_here and self.connected >= count:
                is_here = True
                print("here", flush=True)


def main():
    kind, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = _Crowd(kind, count, port)
    began = time.monotonic()
    crowd.run(count)
    print(json.dumps({
        "kind": kind, "connected": crowd.connected, "failed": crowd.failed, "hungUp": crowd.hung_up, "told": crowd.told,
        "cpu": round(time.process_time() / (time.monotonic() - began), 3)}), flush=True)
    # Thousands of sockets are closed by the end of the process.
    os._exit(0)


if __name__ == "__main__":
    main()
