"""Redis as the services need it: one that stands alone, and clusters of masters with a replica each."""

import asyncio
import contextlib
import shutil
import socket
from pathlib import Path

from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.running.processes import ManagedProcess

NODE_TIMEOUT_MILLISECONDS = 1_000
_SLOTS = 16_384
_ANSWER_SECONDS = 2


class RedisError(Exception):
    """What Redis answered instead."""


def ask(port: int, *words, is_binary: bool = False):
    """One command over a connection of its own: a text (bytes, if `is_binary`), a number, a list, or None."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        with connection.makefile("rb") as stream:
            return _reply(stream, is_binary)


def _reply(stream, is_binary: bool):
    line = stream.readline()
    if not line:
        raise ConnectionError("Redis hung up")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"-":
        raise RedisError(rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        if rest == "-1":
            return None
        data = stream.read(int(rest) + 2)[:-2]
        return data if is_binary else data.decode(errors="replace")
    if kind == b"*":
        return [_reply(stream, is_binary) for _ in range(int(rest))]
    return rest


class RedisServer(ManagedProcess):
    """One redis-server with a directory of its own; its port stays the same over restarts."""

    def __init__(self, name: str, directory, options: dict = None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        super().__init__(name, self.directory.with_suffix(".log"))
        self.port = free_port()
        self.options = {
            "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": "", **(options or {})}

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def servers(self) -> list:
        return [self]

    def command(self) -> list:
        words = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.directory, "--daemonize", "no"]
        for name, value in self.options.items():
            words += [f"--{name}", value]
        return words

    def ask(self, *words, is_binary: bool = False):
        return ask(self.port, *words, is_binary=is_binary)

    def answers(self) -> bool:
        """Whether it serves, with its data loaded."""
        self.assert_runs()
        with contextlib.suppress(OSError, RedisError):
            return self.ask("PING") == "PONG"
        return False

    async def start(self):
        self.spawn()
        await eventually(self.answers, f"an answer of {self.name}")

    def wipe(self):
        """Loses all its data. Not while it runs."""
        assert not self.is_running
        for path in self.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class RedisCluster:
    """Masters with as many replicas, made by hand: redis-cli's way waits for seconds."""

    def __init__(self, name: str, directory, masters: int = 3, options: dict = None):
        self.name = name
        self._masters = masters
        self.servers = []
        for number in range(2 * masters):
            settings = {
                "cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-port": free_port(),
                "cluster-node-timeout": NODE_TIMEOUT_MILLISECONDS, "repl-diskless-sync-delay": 0, **(options or {})}
            self.servers.append(RedisServer(f"{name}-{number}", Path(directory) / str(number), settings))

    @property
    def url(self) -> str:
        return "redis://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    async def start(self):
        """Starts all nodes; the first time it also makes them a cluster."""
        is_new = not (self.servers[0].directory / "nodes.conf").exists()
        await asyncio.gather(*(server.start() for server in self.servers))
        if is_new:
            await self._form()
        await eventually(self.is_whole, f"the health of {self.name}")

    async def _form(self):
        ids = [server.ask("CLUSTER", "MYID") for server in self.servers]
        for number, master in enumerate(self.servers[: self._masters]):
            first, behind = number * _SLOTS // self._masters, (number + 1) * _SLOTS // self._masters
            master.ask("CLUSTER", "ADDSLOTSRANGE", first, behind - 1)
        for number, server in enumerate(self.servers):
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                self.servers[0].ask(
                    "CLUSTER", "MEET", "127.0.0.1", server.port, server.options["cluster-port"])

        def all_know_all():
            return all(set(ids) <= set(nodes_of(server)) for server in self.servers)

        await eventually(all_know_all, f"the nodes of {self.name} knowing each other")
        for number, replica in enumerate(self.servers[self._masters :]):
            replica.ask("CLUSTER", "REPLICATE", ids[number])

    def is_whole(self) -> bool:
        """Every node agrees that all slots are served, and every master has its replica with it."""
        try:
            infos = [server.ask("CLUSTER", "INFO") for server in self.servers if server.is_running and not server.is_frozen]
            return all("cluster_state:ok" in info for info in infos) and len(self.masters()) == self._masters and all(
                "state=online" in master.ask("INFO", "replication") for master in self.masters())
        except (OSError, RedisError):
            return False

    def masters(self) -> list:
        """Those that say so of themselves, and have slots."""
        return [server for server in self.servers if server.is_running and not server.is_frozen and _is_master(server)]

    def kill(self):
        for server in self.servers:
            server.kill()

    stop = kill


def _is_master(server: RedisServer) -> bool:
    try:
        lines = server.ask("CLUSTER", "NODES").splitlines()
    except (OSError, RedisError):
        return False
    return any("myself,master" in line and len(line.split()) > 8 for line in lines)


def nodes_of(server: RedisServer) -> list:
    """The ids of the nodes that it knows and is connected to."""
    lines = [line.split() for line in server.ask("CLUSTER", "NODES").splitlines()]
    return [words[0] for words in lines if words[7] == "connected" and "handshake" not in words[2]]
