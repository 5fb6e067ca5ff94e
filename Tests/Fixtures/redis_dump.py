"""The content of a Redis store as text, a key a line, so that a difference can be read and any Redis can take it."""

import json

from Tests.kontor_testing.running.redis_servers import RedisServer


def dump(server: RedisServer) -> str:
    """Each line is a JSON object: `key`, `text` or (of a sorted set) `members`, and `ttl`, the
    milliseconds that it has left.

    Bytes are characters from 0 to 255.
    """
    lines = []
    for key in sorted(server.ask("KEYS", "*", is_binary=True)):
        entry = {"key": _text(key)}
        if server.ask("TYPE", key) == "zset":
            entry["members"] = [_text(member) for member in server.ask("ZRANGE", key, 0, -1, is_binary=True)]
        else:
            value = server.ask("GET", key, is_binary=True)
            if value is None:
                continue  # A marker that has expired since it was listed.
            entry["text"] = _text(value)
        if (ttl := server.ask("PTTL", key)) >= 0:
            entry["ttl"] = ttl
        lines.append(json.dumps(entry))
    return "\n".join(lines) + "\n"


def restore(server: RedisServer, text: str):
    """Writes what was dumped into an empty store; what expires has as long to live as it had then."""
    assert server.ask("DBSIZE") == 0
    for line in text.splitlines():
        entry = json.loads(line)
        key = _bytes(entry["key"])
        if "members" in entry:
            server.ask("ZADD", key, *(word for member in entry["members"] for word in (0, _bytes(member))))
        else:
            server.ask("SET", key, _bytes(entry["text"]))
        if "ttl" in entry:
            server.ask("PEXPIRE", key, entry["ttl"])


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
