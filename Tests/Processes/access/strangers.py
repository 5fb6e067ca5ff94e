"""Requests of callers whom a shop does not know, as fast as one process can send them. Run by test_callers.py.

    python3 -m Tests.Processes.access.strangers < ORDERS

The orders are JSON: the `port`, the `method` and `path` to ask for, `count` and `seed`, the `kinds` of tokens to take turns with,
and the `tokens` that those are made of. Prints which statuses each kind was answered with: {"random": {"401": 812}, ...}.
"""

import json
import random
import secrets
import socket
import sys

from Tests.Processes.access.jwts import part

# Requests that are sent before the first answer is read, and connections that take turns with them.
_PIPELINED = 12
_CONNECTIONS = 4
_CLAIMS = '{"sub":"1","exp":9999999999,"scope":"admin"}'


def _unsigned_jwt(algorithm: str) -> str:
    """A JWT that says this of itself, whose signature is noise."""
    return f"{_head(algorithm)}.{part(_CLAIMS.encode())}.{part(secrets.token_bytes(64))}"


def _head(algorithm: str) -> str:
    return part(json.dumps({"alg": algorithm}).encode())


def _with_one_letter_changed(token: str, draw: random.Random) -> str:
    place = draw.randrange(token.index("_") + 1, len(token))
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


# What each kind bears as Authorization, of the tokens that there are; an empty one: it bears none.
KINDS = {
    "known": lambda tokens, draw: f"Bearer {tokens['operator']}",
    # Blanks around a token are no part of it.
    "known, with a blank": lambda tokens, draw: f"Bearer {tokens['operator']} ",
    "known, with as much besides": lambda tokens, draw: f"Bearer {tokens['operator']}\r\nX-Besides: {'x' * 4_000}",
    "none": lambda tokens, draw: "",
    "empty": lambda tokens, draw: "Bearer",
    "random": lambda tokens, draw: f"Bearer kontor_{secrets.token_urlsafe(32)}",
    "revoked": lambda tokens, draw: f"Bearer {tokens['gone']}",
    "expired": lambda tokens, draw: f"Bearer {tokens['expired']}",
    "one letter wrong": lambda tokens, draw: f"Bearer {_with_one_letter_changed(tokens['operator'], draw)}",
    "one letter more": lambda tokens, draw: f"Bearer  {tokens['operator']}x",
    "another scheme": lambda tokens, draw: f"Basic {tokens['operator']}",
    "noise": lambda tokens, draw: "Bearer " + "x" * draw.randrange(1, 5_000),
    "JWT, none": lambda tokens, draw: f"Bearer {_unsigned_jwt('none')}",
    "JWT, HS256": lambda tokens, draw: f"Bearer {tokens['signed with the public key']}",
    "JWT, RS256": lambda tokens, draw: f"Bearer {_unsigned_jwt('RS256')}",
    "JWT, noise for a signature": lambda tokens, draw: f"Bearer {_unsigned_jwt('ES256')}",
    "JWT, another key": lambda tokens, draw: f"Bearer {tokens['signed with another key']}",
    "JWT, expired": lambda tokens, draw: f"Bearer {tokens['expired JWT']}",
    "JWT, empty parts": lambda tokens, draw: f"Bearer {_head('ES256')}..",
    "JWT, large": lambda tokens, draw: f"Bearer {_head('ES256')}.{part(secrets.token_bytes(2_900))}.{part(b'x')}",
}
# Of those: who sends 4,000 bytes, which cost something to read, whoever sends them.
LONG = ("noise", "JWT, large")


class _Connection:
    """One connection, on which several requests are under way."""

    def __init__(self, orders: dict, told: dict):
        self._orders, self._told = orders, told
        self._socket = socket.create_connection(("127.0.0.1", orders["port"]), timeout=60)
        self._line = f"{orders['method']} {orders['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
        self._asked = []
        self._received = bytearray()

    def ask(self, kinds: list, draw: random.Random):
        texts = []
        for kind in kinds:
            value = KINDS[kind](self._orders["tokens"], draw)
            texts.append(self._line + (f"Authorization: {value}\r\n\r\n" if value else "\r\n"))
        self._asked += kinds
        self._socket.sendall("".join(texts).encode())

    def hear(self):
        """Reads all answers that are due."""
        for kind in self._asked:
            status = self._answer()
            told = self._told[kind]
            told[status] = told.get(status, 0) + 1
        self._asked.clear()

    def _answer(self) -> str:
        """Takes one answer from what has arrived; its status."""
        received = self._received
        while (head := received.find(b"\r\n\r\n")) < 0:
            self._read()
        length = received.index(b"content-length: ", 0, head) + 16
        end = head + 4 + int(received[length : received.index(b"\r", length)])
        while len(received) < end:
            self._read()
        status = received[9:12].decode()
        del received[:end]
        return status

    def _read(self):
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError(f"the shop hung up; it was asked for {self._asked}")
        self._received += data


def main():
    orders = json.load(sys.stdin)
    draw = random.Random(orders["seed"])
    kinds = orders["kinds"]
    told = {kind: {} for kind in kinds}
    connections = [_Connection(orders, told) for _ in range(_CONNECTIONS)]
    left = orders["count"]
    while left > 0:
        for connection in connections:
            connection.hear()
            count = min(left, _PIPELINED)
            connection.ask(draw.choices(kinds, k=count), draw)
            left -= count
    for connection in connections:
        connection.hear()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
