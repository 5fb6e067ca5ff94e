"""A small HTTP/1.1 server inside a test: for shops, services and gateways that do what the test wants."""

import asyncio
import contextlib

from Tests.kontor_testing.http_client import Answer


class LoopbackServer:
    """Reads whole requests on a port of its own, and writes what `answer` gives; a subclass says what."""

    def __init__(self, port: int = 0):
        self.port = port
        self._server = None
        self._writers = set()
        # Gets the header lines of each request as they came.
        self.raw_head = lambda lines: None

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1_024)
        self.port = self._server.sockets[0].getsockname()[1]

    def kill(self):
        """Nobody listens any more, and all connections are reset."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def answer(self, method: str, path: str, headers: dict, body: bytes) -> Answer | None:
        """None: hangs up instead. The names of headers are in lower case."""
        raise NotImplementedError

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        # The client hung up, or the test is over.
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
                method, path, _ = first.split(" ")
                self.raw_head(lines)
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = await self.answer(method, path, headers, body)
                if answer is None:
                    writer.transport.abort()
                    break
                head = [f"HTTP/1.1 {answer.status} X", f"content-length: {len(answer.body)}"]
                head += [f"{name}: {value}" for name, value in answer.headers.items() if name != "content-length"]
                writer.write(("\r\n".join(head) + "\r\n\r\n").encode() + answer.body)
        self._writers.discard(writer)
        writer.close()
