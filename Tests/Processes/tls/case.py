"""What the tests of TLS share: an authority, contexts of clients, and conversations that are no TLS."""

import asyncio
import contextlib
import ssl

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.certificates import Authority, Pair
from Tests.kontor_testing.polling import eventually


def client_context(authority: Authority, pair: Pair = None, version: ssl.TLSVersion = None) -> ssl.SSLContext:
    """A client that trusts this authority, bears this certificate, and speaks this version only."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["http/1.1"])
    if pair:
        context.load_cert_chain(str(pair.certificate), str(pair.key))
    if version:
        # OpenSSL speaks old versions only if told to accept their weakness.
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


async def shake_hands(port: int, context: ssl.SSLContext) -> ssl.SSLObject:
    """What a handshake agreed on; raises what OpenSSL says if there is none."""
    _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, ssl=context), 20)
    agreed = writer.get_extra_info("ssl_object")
    writer.close()
    return agreed


async def say(port: int, data: bytes, hangs_up: bool = False) -> bytes:
    """What a server says to bytes that are no TLS, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with contextlib.suppress(OSError):
        writer.write(data)
        await writer.drain()
        if not hangs_up:
            answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer


class TLSCase(ServerCase):
    """A test with an authority of its own."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("openssl")
        self.authority = Authority(self.scratch("authority"))
        self.trusting = client_context(self.authority)

    async def secure_server(self, pair: Pair, *options):
        """A started shop with this certificate."""
        server = self.new_server()
        server.extra = [*pair.options, *options]
        server.tls = self.trusting
        await server.start()
        return server

    async def logged(self, process, *words: str, seconds: float = 15) -> str:
        """The line of a log that has all these words, once it is there."""
        def found():
            return next((line for line in process.log().splitlines() if all(word in line for word in words)), None)

        return await eventually(found, f"a line with {words} in the log of {process}", seconds)
