"""A TCP proxy that loses things: requests before they arrive, and replies on their way back.

It expects clients that have at most one request on its way per connection, without a body, as `http_client` does.
"""

import asyncio
from collections import Counter


class Proxy:
    """Listens on a port of its own, and passes on to `port`. Its choices come from `random`."""

    def __init__(self, random, port: int, lost_requests: float = 0.0, lost_replies: float = 0.0):
        self.random = random
        self.upstream_port = port
        self.lost_requests = lost_requests
        self.lost_replies = lost_replies
        self.tally = Counter()
        self.port = None
        self._server = None

    async def start(self):
        self._server = await asyncio.get_running_loop().create_server(lambda: _Client(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self):
        """Takes no more connections; those that there are end with their clients."""
        self._server.close()


class _Client(asyncio.Protocol):
    """The side of the client: takes whole requests, and decides what becomes of each."""

    def __init__(self, proxy: Proxy):
        self._proxy = proxy
        self._transport = None
        self._request = bytearray()
        self._upstream = None
        self._connecting = None
        self.loses_reply = False

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._request += data
        if not self._request.endswith(b"\r\n\r\n"):
            return
        request, self._request = bytes(self._request), bytearray()
        proxy, chance = self._proxy, self._proxy.random.random()
        proxy.tally["requests"] += 1
        if chance < proxy.lost_requests:
            proxy.tally["lost requests"] += 1
            self.hang_up()
            return
        self.loses_reply = chance < proxy.lost_requests + proxy.lost_replies
        if self._upstream is not None:
            self._upstream.write(request)
        else:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(request))

    async def _connect(self, request: bytes):
        try:
            self._upstream, _ = await asyncio.get_running_loop().create_connection(
                lambda: _Upstream(self), "127.0.0.1", self._proxy.upstream_port)
        except OSError:
            self._proxy.tally["not connected"] += 1
            self.hang_up()
            return
        self._upstream.write(request)
        if self._transport.is_closing():
            self._upstream.close()

    def reply(self, data: bytes):
        if self.loses_reply:
            self._proxy.tally["lost replies"] += 1
            self.hang_up()
        else:
            self._transport.write(data)

    def hang_up(self):
        self._transport.abort()

    def connection_lost(self, error):
        if self._upstream is not None:
            self._upstream.abort()


class _Upstream(asyncio.Protocol):
    """The side of the server."""

    def __init__(self, client: _Client):
        self._client = client

    def data_received(self, data):
        self._client.reply(data)

    def connection_lost(self, error):
        self._client.hang_up()
