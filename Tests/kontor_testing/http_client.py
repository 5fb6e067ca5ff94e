"""A small HTTP/1.1 client that knows the difference between an answer and no answer.

Requests go over keep-alive connections that are reused. A request whose connection dies before the whole answer has
arrived is `Unanswered`: the server may have done it or not. It is never repeated here; what to do about it is the
caller's business.
"""

import asyncio
import json
import ssl
from decimal import Decimal
from typing import NamedTuple, Union

# Longer than any deadline of the server: past it the server has lost a request, which is a failure of the test.
PATIENCE_SECONDS = 60  # derived: longest deadline + 30 s


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        """The body; numbers with a fraction are exact decimals."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def problem(self):
        """The last part of a problem's type, such as `out-of-stock`; None if the body is no problem."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return self.json()["type"].rsplit("/", 1)[-1]

    def __str__(self):
        return f"{self.status} {self.body.decode(errors='replace')}"


class Unanswered(NamedTuple):
    """No answer. If the request was not even sent, it certainly had no effect."""

    was_sent: bool
    reason: str
    status = None


Outcome = Union[Answer, Unanswered]


class _Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self):
        self._transport = None
        self._received = bytearray()
        self._waiter = None
        self.is_usable = True

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._received += data
        answer = self._take_answer()
        if answer is not None:
            self._finish(answer)

    def connection_lost(self, error):
        self.is_usable = False
        self._finish(Unanswered(True, f"the connection was lost: {error or 'closed'}"))

    def close(self):
        self.is_usable = False
        self._transport.close()

    async def ask(self, request: bytes) -> Outcome:
        """Sends one request and waits for its answer."""
        if not self.is_usable:
            return Unanswered(False, "the connection was closed before")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self.close()
            raise

    def _finish(self, outcome):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(outcome)

    def _take_answer(self):
        """The answer at the start of what was received, if it is whole."""
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        lines = self._received[:head_end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body_end = head_end + 4 + int(headers["content-length"])
        if len(self._received) < body_end:
            return None
        body = bytes(self._received[head_end + 4 : body_end])
        del self._received[:body_end]
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(lines[0].split(" ", 2)[1]), headers, body)


class Client:
    """Sends requests to one server over at most `connections` connections at once."""

    def __init__(self, port: int, connections: int = 64, host: str = "127.0.0.1", tls: ssl.SSLContext = None):
        self._host = host
        self._port = port
        self._tls = tls
        self._slots = asyncio.Semaphore(connections)
        self._idle = []
        # Requests that have left, so that a test can wait for that.
        self.sent = 0

    async def get(self, path: str) -> Outcome:
        return await self.request("GET", path)

    async def post(self, path: str, headers: dict = None) -> Outcome:
        return await self.request("POST", path, headers)

    async def delete(self, path: str) -> Outcome:
        return await self.request("DELETE", path)

    async def request(self, method: str, path: str, headers: dict = None, body=None) -> Outcome:
        """`body` is sent as JSON, bytes as they are. Raises TimeoutError if the server neither answers nor hangs up."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if content and "content-type" not in (headers or {}):
            lines.append("Content-Type: application/json")
        if method == "POST" or content:
            lines.append(f"Content-Length: {len(content)}")
        async with self._slots:
            connection = await self._connection()
            if isinstance(connection, Unanswered):
                return connection
            request = ("\r\n".join(lines) + "\r\n\r\n").encode() + content
            self.sent += 1
            try:
                outcome = await asyncio.wait_for(connection.ask(request), PATIENCE_SECONDS)
            except asyncio.TimeoutError:
                raise TimeoutError(f"{method} {path} was neither answered nor hung up on") from None
            if connection.is_usable:
                self._idle.append(connection)
            return outcome

    async def _connection(self):
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        except OSError as error:
            return Unanswered(False, f"could not connect: {error}")
        return connection

    def close(self):
        """Hangs up."""
        for connection in self._idle:
            connection.close()
        self._idle = []


async def get_once(
    port: int, path: str, host: str = "127.0.0.1", tls: ssl.SSLContext = None, seconds: float = PATIENCE_SECONDS
) -> Outcome:
    """One read over a connection of its own; unanswered if it takes longer."""
    client = Client(port, connections=1, host=host, tls=tls)
    try:
        return await asyncio.wait_for(client.get(path), seconds)
    except TimeoutError:
        return Unanswered(True, f"no answer within {seconds} s")
    finally:
        client.close()


class BearerClient(Client):
    """A client whose requests bear a token."""

    def __init__(self, port: int, token: str):
        super().__init__(port)
        self._token = token

    async def request(self, method: str, path: str, headers: dict = None) -> Outcome:
        return await super().request(method, path, {"Authorization": f"Bearer {self._token}", **(headers or {})})


class Reachable:
    """Anything that serves the shop on a port of this machine: one server, or a whole deployment."""

    host = "127.0.0.1"
    # The port of the public listener; a subclass says.
    port: int
    # Whom a client trusts; None: it does not speak TLS.
    tls: ssl.SSLContext = None

    def client(self, connections: int = 64) -> Client:
        return Client(self.port, connections, self.host, self.tls)
