"""Requests that are not HTTP, or more of it than anybody needs. What they ask for would succeed if they were well-formed."""

from Tests.Processes.fuzz.fuzz_requests import Requests
from Tests.Processes.fuzz.fuzz_wire import Case

_REFUSED = frozenset({"400"})
_BAD_VERSIONS = [
    b"HTTP/1", b"HTTP/1.1.1", b"HTP/1.1", b"http/1.1", b"HTTP/x.y", b"HTTP/11.1", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9",
    b"HTTP/1.9",
    b"HTTP/ 1.1", b"HTTP/1.1x", b"HTTP", b"", b"SIP/2.0", b"HTTP\\1.1", b"\x00"]
_BAD_LENGTHS = [
    b"-1", b"+1", b"0x1", b"1 1", b"abc", b"1.0", b"1e3", b"\xd9\xa1", b"99999999999999999999999", b"18446744073709551617",
    b";", b"1;"]
_BAD_CODINGS = [b"gzip", b"chunked, gzip", b"xchunked", b"chunkedx", b"identity, gzip"]
_BAD_CHUNKS = [
    b"zz\r\n", b"-1\r\na\r\n", b"\r\n", b"FFFFFFFFFFFFFFFFFF\r\na", b"0x1\r\na\r\n", b"1\r\nab\r\n", b"1\r\na1\r\na\r\n",
    b" \r\n", b"+1\r\na\r\n"]
_BAD_LINES = [
    b"no colon", b": no name", b"Spaced : x", b"In name: x".replace(b"In ", b"In\x00"), b"a b: c", b"a@b: c", b"(a): b",
    b"\xc3\xa9: x",
    b"Host: y", b"a\x7f: b", b'"a": b']
_ODD_VALUES = [b"a\x00b", b"a\x01b", b"a\x7fb", b"a\r\n b", b"a\r\n\tb", b"\xff\xfe", b"a\rb", b"a\nX: b"]
_NOISE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    b"\x00" * 50,
    b"\xff" * 50, b"SSH-2.0-OpenSSH_9.2\r\n", b"HELO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n",
    b" GET / HTTP/1.1\r\n\r\n",
    b"\r\n" * 100, b"\n", b"HTTP/1.1 200 OK\r\n\r\n", b"GET / HTTP/1.1\n\n", b"{}", b"<xml/>", b"G", b"GET /stock",
    b"POST /stock/item/create/5 HTTP/1.1\r\n"]


class Framing:
    """Each method gives one request behind which the connection is of no use any more."""

    def __init__(self, requests: Requests):
        self._requests = requests
        self._random = requests.random

    def any(self) -> Case:
        make = self._random.choice((
            self.bad_version, self.bad_length, self.bad_coding, self.bad_chunk, self.bad_line, self.bad_host,
            self.lies_about_length,
            self.too_large_a_body, self.too_many_headers, self.too_large_headers, self.too_long_a_target, self.bad_method,
            self.odd,
            self.noise, self.conflicting_lengths, self.truncated))
        return make()

    def _write(self, headers=(), body=b"", **options) -> bytes:
        return self._requests.bytes(*self._requests.write(), headers, body, **options)

    def _case(self, kind: str, data: bytes, accepts=_REFUSED, **options) -> Case:
        return Case(kind, data, frozenset(accepts), may_end=True, **options)

    def bad_version(self):
        return self._case("bad version", self._write(version=self._random.choice(_BAD_VERSIONS)), {"400", "505"})

    def bad_method(self):
        method, target = self._requests.write()
        method = self._random.choice((
            method.lower(), method.title(), method[:-1], method + "X", "", "\x00" + method, '"' + method + '"'))
        return self._case("bad method", self._requests.bytes(method, target), {"400", "405", "501"})

    def bad_length(self):
        value = self._random.choice(_BAD_LENGTHS)
        return self._case("bad length", self._write([b"Content-Length: " + value]) + b"aaaa", {"400", "413"})

    def conflicting_lengths(self):
        """Whatever a server takes for the end of the body, the request that hides in it must not be run."""
        smuggled = self._write()
        headers = self._random.choice((
            [b"Content-Length: 5", b"Content-Length: 6"], [b"Content-Length: 0", b"Content-Length: %d" % len(smuggled)],
            [b"Content-Length: %d" % (len(smuggled) + 5), b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked", b"Content-Length: 5"]))
        return self._case("conflicting lengths", self._write(headers) + b"0\r\n\r\n" + smuggled)

    def bad_coding(self):
        data = self._write([b"Transfer-Encoding: " + self._random.choice(_BAD_CODINGS)]) + b"0\r\n\r\n"
        return self._case("bad coding", data, {"400", "501"})

    def bad_chunk(self):
        data = self._write([b"Transfer-Encoding: chunked"]) + self._random.choice(_BAD_CHUNKS) + b"0\r\n\r\n"
        return self._case("bad chunk", data, {"400", "413"}, may_be_silent=True)

    def bad_line(self):
        return self._case("bad header line", self._write([self._random.choice(_BAD_LINES)]))

    def bad_host(self):
        return self._case("no host", self._write(host=None))

    def lies_about_length(self):
        """The end of the input comes before the end of the body."""
        data = self._write([b"Content-Length: %d" % self._random.choice((2, 100, 60_000))]) + b"a"
        return self._case("short body", data, may_be_silent=True)

    def too_large_a_body(self):
        size = self._random.choice((65_537, 70_000, 300_000))
        if self._random.random() < 0.5:
            data = self._write([b"Content-Length: %d" % self._random.choice((size, 10**12))]) + bytes(size)
        else:
            chunk = b"1000\r\n" + bytes(4_096) + b"\r\n"
            data = self._write([b"Transfer-Encoding: chunked"]) + chunk * (size // 4_096 + 2)
        return self._case("huge body", data, {"413"})

    def too_many_headers(self):
        lines = [b"X-%d: y" % number for number in range(self._random.choice((101, 150, 1_000)))]
        return self._case("header flood", self._write(lines), {"431"})

    def too_large_headers(self):
        size = self._random.choice((16_500, 20_000, 100_000))
        lines = self._random.choice(([b"X: " + b"y" * size], [b"X" * size + b": y"], [b"X: " + b"y" * (size // 50)] * 51))
        return self._case("huge headers", self._write(lines), {"431"})

    def too_long_a_target(self):
        method, target = self._requests.write()
        size = self._random.choice((2_048, 5_000, 50_000))
        accepts = {"414"} if size < 8_000 else {"414", "431", "400"}
        return self._case("long target", self._requests.bytes(method, target + b"?" + b"q" * size), accepts)

    def odd(self):
        """What a server may refuse or put up with: only with requests that change nothing."""
        case = self._requests.harmless(methods=("GET", "POST", "DELETE"))
        line, rest = case.data.split(b"\r\n", 1)
        data = self._random.choice((
            line + b"\r\nX: " + self._random.choice(_ODD_VALUES) + b"\r\n" + rest,
            line.replace(b" ", b"  ") + b"\r\n" + rest, line + b" \r\n" + rest, b"\r\n\r\n" + case.data,
            case.data.replace(b"\r\n", b"\n"), line + b"\r\n" + rest.replace(b"Host: x", b"Host: a b/c", 1),
            line + b"\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n" + rest,
            line + b"\r\nExpect: 200-maybe\r\n" + rest,
            line.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n" + rest, line.replace(b"HTTP/1.1", b"RTSP/1.0") + b"\r\n" + rest,
            line + b"\r\nConnection: close, keep-alive, x\r\n" + rest,
            line + b"\r\nTransfer-Encoding: chunked\r\n" + rest.replace(b"Content-Length: 0\r\n", b"") + b"0\r\n\r\n"))
        return self._case("odd but harmless", data, case.accepts | {"400", "417"})

    def noise(self):
        data = self._random.choice((*_NOISE, self._random.randbytes(self._random.choice((1, 30, 300, 5_000)))))
        return self._case("noise", data, {"400", "404", "405", "414", "431", "501", "505"}, may_be_silent=True)

    def truncated(self):
        """A write of which at least the last byte is missing."""
        body = self._random.choice((b"", b"", b"{}"))
        data = self._write(body=body)
        return self._case("truncated", data[: self._random.randrange(1, len(data))], may_be_silent=True)
