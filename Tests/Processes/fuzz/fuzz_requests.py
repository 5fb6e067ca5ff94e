"""Makes requests that deserve no effect: targets near the routes, spoilt headers, broken framing, noise.

Everything comes from one seeded source of randomness. Two kinds of request are the raw material: harmless ones, whose verdict
says that they cannot change anything, and writes that would succeed, which are only sent in a way that must be refused.
"""

import string

from Tests.Processes.fuzz.fuzz_model import MALFORMED, PLAIN_METHODS, ROUTES, Known, verdict
from Tests.Processes.fuzz.fuzz_wire import Case

_ODD_IDS = [
    b"", b"a" * 65, b"b" * 500, b"%", b"%4", b"%zz", b"abc%", b"%00", b"a%00b", b"%2F", b"%2e%2e%2f", b"..", b".", b"a%20b",
    "é".encode(), b"%C3%A9", b"%FF", b"a;b", b"a=b", b"a,b", b"a@b", b"$", b"'", b'"', b"<script>", b"{item}", b"null",
    b"undefined", b"-", b"~", b"%25", "😀".encode(), b"%F0%9F%98%80", b"'%20OR%201=1--", b"${jndi:ldap://x}", b"%E2%80%AE",
    b"a b", b"\x00", b"a\tb", b"*", b"(", b"[", b"|", b"\\", b"^", b"`", b"%0d%0aX-Injected:%201", b"%u0041", b"+", b"a%5Cb",
    b"c" * 64, b"0", b"-1", b"%7f", b"%c0%af", b"%ed%a0%80", b"..%2f..%2fetc", b"a#b", b"a:b", b"%41" * 65, b"%41" * 21]
_ODD_NUMBERS = [
    b"0", b"-1", b"-0", b"+1", b"1.5", b"1e3", b"1E9", b"NaN", b"nan", b"Infinity", b"inf", b"1,000", b"1_000", b"0x10",
    b"%EF%BC%91", b"%D9%A1", b"%201", b"1%20", b"", b"1000000001", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"-9223372036854775808", b"1e400", b"--1", b"1-", b"1.", b".5", b"..5", b"1..2", b"0.001",
    b"0.005",
    b"0.0049", b"-0.01", b"100000000000.01", b"100000000001", b"99999999999.999", b"0" * 30, b"00000",
    b"0000000000000000000000005",
    b"1/2", b"1%2F2", b"null", b"true", b"{}", b"[]", b"%C2%BD", b"9" * 18, b"9" * 19, b"9" * 400, b"1" + b"0" * 60,
    b"0." + b"0" * 50,
    b"1." + b"3" * 60, b"%31%65%33", b"1;2", b"0b1", b"1f", b"%", b"%3", b"1%", b"\xef\xbc\x91", b"1%00", b"4294967296",
    b"1000001"]
_GOOD_NUMBERS = [b"1", b"2", b"7", b"100", b"1000000000", b"%31", b"007"]
_WORDS = [
    b"api", b"stock", b"orders", b"payment", b"item", b"find", b"admin", b"..", b"health", b"metrics", b"create", b"users",
    b"%2e"]
_METHODS = [
    *PLAIN_METHODS, *PLAIN_METHODS, "CONNECT", "PROPFIND", "CHECKOUT", "PURGE", "LINK", "M-SEARCH", "FOO", "get", "Post",
    "BREW"]
# Never a number of milliseconds.
_BAD_TIMEOUTS = [
    b"0", b"-1", b"1.5", b"abc", b"", b" ", b"+5", b"NaN", b"1e3", b"9" * 19, b"9" * 300, b"5ms", b"0x10", b"1 2", b"1,2",
    b"\xd9\xa1"]
_BAD_KEYS = [
    b"", b'""', b'"', b"k" * 256, b'"' + b"k" * 256 + b'"', b"k" * 5_000, b"a b", b'"a b"', b'"abc', b'abc"', b"a\tb",
    b"\xc3\xa9",
    b"\xff", b'"\xf0\x9f\x98\x80"', b" ", b"   "]
# The draft and the contract leave it open what these are.
_STRANGE_KEYS = [b'"a"b"', b'"a\\"b"', b"a,b", b"'a'", b':YWJj:', b"?1", b'"a";p=1', b"=", b'"a", "b"', b"gw-", b"\\"]


class Requests:
    """A source of single requests. `random` decides everything."""

    def __init__(self, random, known: Known):
        self.random = random
        self._known = known
        self._pool = {
            "item": [id.encode() for id in known.items], "user": [id.encode() for id in known.users],
            "order": [id.encode() for id in known.orders]}
        self._pool["reference"] = self._pool["order"] + self._pool["item"]

    # Targets

    def harmless(self, kind="request", methods=None, headers=(), body=b"", target=None) -> Case:
        """A whole request that cannot change anything, mostly because something is wrong with its target."""
        while True:
            method, made = self._target()
            method = self.random.choice(methods) if methods else method
            made = target or made
            judged = verdict(method, made, self._known)
            if not judged.may_change and not (methods and judged.may_end):
                break
        data = self.bytes(method, made, headers, body)
        return Case(kind, data, judged.accepts, is_head=method == "HEAD", may_end=judged.may_end)

    def read(self) -> Case:
        """A read that must succeed."""
        targets = [b"/health/live", b"/health/ready"]
        for name, kind in ((b"/stock/find/", "item"), (b"/payment/find_user/", "user"), (b"/orders/find/", "order")):
            targets.append(name + self.random.choice(self._pool[kind]))
        return Case("good read", self.bytes("GET", self.random.choice(targets)), frozenset({"200"}))

    def write(self) -> tuple:
        """Method and target of a request that would change something."""
        while True:
            methods, template = self.random.choice(ROUTES)
            method, target = methods[-1], b"/" + b"/".join(self._good(part) for part in template.split("/"))
            judged = verdict(method, target, self._known)
            if judged.may_change and judged.accepts == {"200"} and b"batch_init" not in target:
                return method, target

    def _target(self) -> tuple:
        """A method and a target; nothing is promised about either."""
        random = self.random
        methods, template = random.choice(ROUTES)
        parts = template.split("/")
        style = random.random()
        segments = [self._good(part) for part in parts]
        holes = [place for place, part in enumerate(parts) if part[0] == "{"]
        if style < 0.45 and holes:
            for place in random.sample(holes, random.randint(1, len(holes))):
                segments[place] = self._bad(parts[place][1:-1])
        elif style < 0.6:
            place = random.randrange(len(segments))
            segments[place] = self._damaged(segments[place])
        elif style < 0.75:
            self._reshape(segments)
        elif style < 0.8:
            segments = [random.choice(_WORDS + _ODD_IDS) for _ in range(random.randint(0, 9))]
        elif style < 0.85:
            segments = [self._random_bytes(random.randint(0, 40))]
        method = random.choice(methods) if random.random() < 0.8 else random.choice(_METHODS)
        target = b"/" + b"/".join(segments)
        dressing = random.random()
        if dressing < 0.05:
            target += b"?" + self._random_text(random.choice((0, 3, 30, 300)))
        elif dressing < 0.08:
            target = random.choice((b"http://x", b"https://x:1", b"http://[::1]", b"ftp://a@b", b"HTTP://X")) + target
        elif dressing < 0.10:
            target = random.choice(
                (b"*", b"http:", b"http://", b"http://x", b"x:443", b"//", target[1:], b"?", b"http:///", b"%2f"))
        elif dressing < 0.12:
            target += b"?" + b"q" * random.choice((2_048, 3_000, 9_000))
        return method, target or b"/"

    def _good(self, part: str) -> bytes:
        if part[0] != "{":
            return part.encode()
        kind = part[1:-1]
        return self.random.choice(self._pool[kind] if kind in self._pool else _GOOD_NUMBERS)

    def _bad(self, kind: str) -> bytes:
        random = self.random
        if kind not in self._pool:
            return random.choice(_ODD_NUMBERS) if random.random() < 0.8 else self._damaged(random.choice(_GOOD_NUMBERS))
        style = random.random()
        if style < 0.4:
            return random.choice(_ODD_IDS)
        if style < 0.7:
            return self._damaged(random.choice(self._pool[kind]))
        if style < 0.9:
            return "".join(random.choices(string.ascii_letters + string.digits + "_.~-", k=random.randint(1, 80))).encode()
        return self._random_bytes(random.randint(1, 20))

    def _damaged(self, text: bytes) -> bytes:
        random = self.random
        place = random.randrange(len(text) + 1)
        style = random.randrange(6)
        if style == 0:
            return text[:place] + text[place + 1 :]
        if style == 1:
            return text[:place] + random.choice(string.printable[:94]).encode() + text[place:]
        if style == 2:
            return text.swapcase()
        if style == 3:
            return text + text
        if style == 4:
            return b"".join(b"%%%02x" % byte for byte in text)
        return text[:place] + b"%%%02X" % random.randrange(256) + text[place:]

    def _reshape(self, segments: list):
        random = self.random
        place = random.randrange(len(segments))
        style = random.randrange(6)
        if style == 0:
            del segments[place]
        elif style == 1:
            segments.insert(place, segments[place])
        elif style == 2:
            segments.insert(place, random.choice(_WORDS + _ODD_IDS))
        elif style == 3:
            segments.append(b"")
        elif style == 4:
            segments[0] = random.choice(_WORDS)
        else:
            random.shuffle(segments)

    def _random_bytes(self, count: int) -> bytes:
        return self.random.randbytes(count).translate(None, b" \r\n\t?/\x0b\x0c")

    def _random_text(self, count: int) -> bytes:
        return "".join(self.random.choices(string.ascii_letters + string.digits + "=&%+/?", k=count)).encode()

    # Whole requests

    def bytes(
        self, method: str, target: bytes, headers=(), body: bytes = b"", version: bytes = b"HTTP/1.1", host=b"Host: x"
    ) -> bytes:
        """`headers` are lines; a Content-Length is added for a body, and at random for none."""
        lines = [method.encode() + b" " + target + b" " + version]
        if host:
            lines.append(host)
        lines += headers
        if body or (method in ("POST", "DELETE") and self.random.random() < 0.5):
            if not any(line.lower().startswith((b"transfer-encoding", b"content-length")) for line in headers):
                lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def with_bad_timeout(self) -> Case:
        """A write that would succeed, with a deadline that makes no sense."""
        value = self.random.choice(_BAD_TIMEOUTS)
        data = self.bytes(*self.write(), [b"Request-Timeout-Ms: " + value])
        return Case("bad timeout", data, frozenset({MALFORMED}))

    def with_small_timeout(self) -> Case:
        """A read that may not be served in time."""
        data = self.read().data[:-2] + b"Request-Timeout-Ms: %d\r\n\r\n" % self.random.randint(1, 9)
        return Case("small timeout", data, frozenset({"200", "503"}))

    def with_bad_key(self) -> Case:
        """A write that would succeed, under a key that is none, or under two."""
        name = self.random.choice((b"Idempotency-Key", b"idempotency-key", b"IDEMPOTENCY-KEY"))
        lines = [name + b": " + self.random.choice(_BAD_KEYS)]
        if self.random.random() < 0.15:
            lines = [b"Idempotency-Key: a", name + b": " + self.random.choice((b"a", b"b", b""))]
        return Case("bad key", self.bytes(*self.write(), lines), frozenset({"400"}))

    def with_key(self) -> Case:
        """A harmless request under a good or a strange key, which is not kept: what could succeed goes without one."""
        key = self.random.choice((b"a", b'"a"', b"k" * 255, b"gw-1", self.random.choice(_STRANGE_KEYS)))
        case = self.harmless("strange key", methods=("GET", "POST", "DELETE"), headers=[b"Idempotency-Key: " + key])
        if "200" in case.accepts and not case.data.startswith(b"GET "):
            return self.read()
        return Case(case.kind, case.data, case.accepts | {"400"})

    def with_body(self) -> Case:
        """A harmless request with a body, which may look like a request that would change something."""
        random = self.random
        smuggled = self.bytes(*self.write())
        noise = random.randbytes(random.choice((1, 100, 60_000)))
        body = random.choice((b"{}", b"null", b"[" * 500, b'{"a":', noise, smuggled, smuggled))
        headers = [random.choice((b"Content-Type: application/json", b"Content-Encoding: gzip", b"X: y"))]
        if random.random() < 0.5:
            headers.append(b"Transfer-Encoding: chunked")
            body = self.chunked(body)
        if random.random() < 0.1:
            headers.append(b"Expect: 100-continue")
        return self.harmless("with a body", methods=("GET", "POST", "DELETE"), headers=headers, body=body)

    def chunked(self, body: bytes) -> bytes:
        random, chunks = self.random, []
        while body:
            size = random.choice((1, 10, 1_000, 70_000))
            part, body = body[:size], body[size:]
            chunks.append(random.choice((b"%x", b"%X", b"0%x", b"%x;a=b")) % len(part) + b"\r\n" + part + b"\r\n")
            if len(chunks) > 100:
                chunks.append(b"%x\r\n" % len(body) + body + b"\r\n" if body else b"")
                break
        return b"".join(chunks) + b"0\r\n" + random.choice((b"", b"", b"X-Trailer: 1\r\n")) + b"\r\n"
