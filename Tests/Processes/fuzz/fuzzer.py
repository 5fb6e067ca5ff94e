"""The fuzzer: holds conversations with a server until it has sent so many requests, and tells what was wrong with the answers.

    python3 -m Tests.Processes.fuzz.fuzzer PORT SEED REQUESTS < what-is-in-the-shop.json

One process keeps one core busy. The same seed sends the same bytes, if the same things are in the shop.
"""

import asyncio
import json
import random
import sys
from dataclasses import asdict

from Tests.Processes.fuzz.fuzz_framing import Framing
from Tests.Processes.fuzz.fuzz_model import Known
from Tests.Processes.fuzz.fuzz_requests import Requests
from Tests.Processes.fuzz.fuzz_wire import Case, Conversation, Report, converse

_CONVERSATIONS_AT_ONCE = 40
# What the server allows for a head, and for a body (docs of HTTPLimits), is past after these.
_HEAD_SECONDS, _BODY_SECONDS = 14, 25
_NOT_HTTP = ("bad header line", "bad length", "conflicting lengths", "no host")
_LIVE = Case("good read", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", frozenset({"200"}))


class Fuzzer:
    """Makes conversations of requests."""

    def __init__(self, source: random.Random, known: Known):
        self._random = source
        self._requests = Requests(source, known)
        self._framing = Framing(self._requests)

    def conversation(self) -> Conversation:
        random = self._random
        count = random.choice((0, 0, 0, 0, 1, 2, 5, 20))
        if random.random() < 0.005:
            count = 900
        cases = [self._request() for _ in range(count)]
        cases = [case for case in cases if not case.may_end] + [case for case in cases if case.may_end][:1]
        if not cases or not cases[-1].may_end:
            cases.append(self._framing.any() if random.random() < 0.5 else _LIVE)
        style = random.random()
        if style < 0.12:
            return self._cut(cases)
        data = b"".join(case.data for case in cases)
        if cases[-1].kind in _NOT_HTTP:
            # Behind what cannot be understood nothing is understood.
            data += self._requests.bytes(*self._requests.write())
        ending = "half-close" if cases[-1].may_end else random.choice(("wait", "wait", "half-close"))
        if style < 0.3:
            return Conversation(cases, self._pieces(data), random.choice((0, 0.0005, 0.002)), ending)
        return Conversation(cases, [data], 0, ending)

    def _request(self) -> Case:
        style, requests = self._random.random(), self._requests
        if style < 0.62:
            return requests.harmless()
        if style < 0.72:
            return requests.read()
        if style < 0.80:
            return requests.with_bad_key()
        if style < 0.86:
            return requests.with_bad_timeout()
        if style < 0.92:
            return requests.with_body()
        return requests.with_key() if style < 0.98 else requests.with_small_timeout()

    def _pieces(self, data: bytes) -> list:
        """Up to 30 pieces, so cut that some are single bytes."""
        places = sorted(self._random.sample(range(len(data)), min(len(data), self._random.randint(1, 15))))
        places = sorted({*places, *(place + 1 for place in places)})
        return [data[start:end] for start, end in zip([0, *places], [*places, len(data)]) if start < end]

    def _cut(self, cases: list) -> Conversation:
        """Hung up on at any byte, the last of it in a write that was not whole."""
        write = self._framing.truncated()
        data = b"".join(case.data for case in cases if not case.may_end)
        if self._random.random() < 0.5:
            data = data[: self._random.randrange(len(data) + 1)]
        else:
            data += write.data
        pieces = self._pieces(data) if len(data) > 1 else [data]
        return Conversation(cases, pieces, self._random.choice((0, 0.001)), "cut", is_aborted=self._random.random() < 0.5)

    def slow_conversations(self) -> list:
        """Of clients that never finish a request which would have an effect: told so after a while, or hung up on."""
        too_slow, slow = frozenset({"408"}), []
        for number in range(12):
            write = self._requests.write()
            head = self._requests.bytes(*write)
            drips = [head[place : place + 1] for place in range(len(head) - 1)]
            endless = self._requests.bytes(*write, [b"Content-Length: 60000"])
            chunks = self._requests.bytes(*write, [b"Transfer-Encoding: chunked"])
            for kind, pieces, pause, seconds in (
                ("dripping head", drips, _HEAD_SECONDS / len(drips), _HEAD_SECONDS),
                ("stalled head", [head[:-1]], 0, _HEAD_SECONDS),
                ("dripping body", [endless, *[b"a"] * 200], 0.2, _BODY_SECONDS), ("stalled body", [endless], 0, _BODY_SECONDS),
                ("dripping chunks", [chunks, *[b"1\r\na\r\n"] * 200], 0.2, _BODY_SECONDS),
            ):
                # A head that begins in the packet of the request before it and then stalls is taken for an idle connection.
                prefix = [self._requests.read()] if number % 2 and kind != "stalled head" else []
                case = Case(kind, b"".join(pieces), too_slow, may_end=True, may_be_silent=True)
                pieces = [b"".join(part.data for part in prefix) + pieces[0], *pieces[1:]]
                slow.append(Conversation([*prefix, case], pieces, pause, seconds=seconds))
        return slow

    def floods(self) -> list:
        """Of clients that send thousands of requests without a pause; one that hangs up may be told that it is too much."""
        floods = []
        for ending in ("wait", "half-close", "cut"):
            cases = [self._requests.read() for _ in range(3_000)]
            data = b"".join(case.data for case in cases)
            floods.append(Conversation(cases, [data], 0, ending, is_aborted=True, is_shed_allowed=ending == "half-close"))
        return floods


async def fuzz(port: int, seed: int, requests: int, known: Known) -> Report:
    """Sends at least so many requests. The slow clients are slow while the others are busy."""
    fuzzer, report = Fuzzer(random.Random(seed), known), Report()
    tasks = [asyncio.create_task(converse(port, slow, report)) for slow in fuzzer.slow_conversations()]
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    floods = fuzzer.floods() if requests >= 20_000 else []

    async def talk():
        while report.requests < requests and len(report.violations) < 100:
            await converse(port, floods.pop() if floods else fuzzer.conversation(), report)

    await asyncio.gather(*(talk() for _ in range(_CONVERSATIONS_AT_ONCE)), *tasks)
    for _, writer in idle:
        writer.close()
    return report


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(fuzz(*map(int, sys.argv[1:4]), Known(**json.load(sys.stdin)))))))
