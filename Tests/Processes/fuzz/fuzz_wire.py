"""One conversation of the fuzzer with the server: sends the bytes, in pieces, cut off or slowly, and checks what comes back."""

import asyncio
import json
import re
from dataclasses import dataclass, field

# Longer than any bound of the server on a slow client.
_PATIENCE_SECONDS = 40
# Whoever has been sending for so long may be told that it is too slow: the server allows 10 s for a head, and a busy machine may not
# let the fuzzer send one in that time.
_SLOW_SECONDS = 9
# What must never reach a client: names of types and files, and how a language prints its values.
_INTERNALS = re.compile(
    r"Optional\(|\bSwift|\bNIO|\.swift|\bKontor[A-Z]|Error\(|Error Domain|rawValue|0x[0-9a-f]{12}|/Sources/|/usr/|"
    r"[Ff]atal error")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]+\Z")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([ -~]*)\Z")


@dataclass
class Case:
    """One request, whole or not, and what may be answered to it."""

    kind: str
    data: bytes
    accepts: frozenset
    is_head: bool = False
    # The server may hang up behind its answer: nothing behind this one is answered, or has an effect.
    may_end: bool = False
    # It is never complete, so the server may also just hang up.
    may_be_silent: bool = False


@dataclass
class Conversation:
    """What is sent over one connection, and how it ends."""

    cases: list
    pieces: list
    pause_seconds: float = 0
    # "wait" for all answers; "half-close" behind the last byte; "cut": hang up at once, whatever is still to come.
    ending: str = "wait"
    is_aborted: bool = False
    # The server may say 429 at any point, and hang up.
    is_shed_allowed: bool = False
    seconds: float = _PATIENCE_SECONDS


@dataclass
class Report:
    """What a fuzzer has seen."""

    requests: int = 0
    answers: dict = field(default_factory=dict)
    kinds: dict = field(default_factory=dict)
    violations: list = field(default_factory=list)

    def count(self, status: int):
        self.answers[str(status)] = self.answers.get(str(status), 0) + 1


class Talk(asyncio.Protocol):
    """Speaks one conversation; `violations` are sentences."""

    def __init__(self, conversation: Conversation, report: Report):
        self._conversation = conversation
        self._report = report
        self._open = list(reversed(conversation.cases))
        self._received = bytearray()
        self._transport = None
        self._server_ends = False
        self._began = asyncio.get_running_loop().time()
        # When the last piece was given to the transport; None before.
        self._sent = None
        self.ended = asyncio.get_running_loop().create_future()
        self.violations = []

    def connection_made(self, transport):
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 26)

    def data_received(self, data):
        self._received += data
        try:
            while self._take():
                pass
        except ValueError as error:
            self.violations.append(f"this is no answer: {error}")
            self._transport.abort()
            return
        if not self._open and self._conversation.ending != "cut":
            self._end_output()

    def eof_received(self):
        return False

    def connection_lost(self, error):
        if self._conversation.ending != "cut":
            self._judge_end()
        if not self.ended.done():
            self.ended.set_result(None)

    def _judge_end(self):
        # Whoever cannot read a request does not know either that it was a HEAD.
        is_body_of_head = not self._open and self._conversation.cases[-1].is_head and self._conversation.cases[-1].may_end
        if self._received and not is_body_of_head:
            self.violations.append(f"behind the last answer came {bytes(self._received[:200])}")
        if self._open and not self._may_be_silent and not self._server_ends:
            self.violations.append(f"hung up without an answer to {_shown(self._open[-1])} ({self._conversation.ending})")

    @property
    def _may_be_silent(self) -> bool:
        """Nothing is left but a request that is not whole."""
        return len(self._open) == 1 and self._open[0].may_be_silent

    def _end_output(self):
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()

    async def speak(self):
        """To the end of the conversation."""
        pause = self._conversation.pause_seconds
        for piece in self._conversation.pieces:
            if self._transport.is_closing() or (not self._open and self._conversation.ending != "cut"):
                break
            self._transport.write(piece)
            if pause:
                await asyncio.sleep(pause)
        self._sent = asyncio.get_running_loop().time()
        if self._conversation.ending == "half-close":
            self._end_output()
        elif self._conversation.ending == "cut":
            self._transport.abort() if self._conversation.is_aborted else self._transport.close()
        try:
            await asyncio.wait_for(self.ended, self._conversation.seconds)
        except asyncio.TimeoutError:
            self._transport.abort()
            missing = _shown(self._open[-1]) if self._open else "the end, after all answers"
            self.violations.append(f"neither answered nor hung up for {self._conversation.seconds} s: {missing}")

    @property
    def _was_slow(self) -> bool:
        is_sent = self._sent is not None and self._transport.get_write_buffer_size() == 0
        return (self._sent if is_sent else asyncio.get_running_loop().time()) - self._began >= _SLOW_SECONDS

    # Answers

    def _take(self) -> bool:
        """Takes the answer at the start of what was received, if it is whole."""
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        lines = bytes(self._received[:head_end]).split(b"\r\n")
        found = _STATUS_LINE.match(lines[0])
        if not found:
            raise ValueError(f"the status line {lines[0][:200]}")
        status, headers = int(found[1]), {}
        for line in lines[1:]:
            header = _HEADER.match(line)
            if not header:
                raise ValueError(f"the header line {line[:200]}")
            headers[header[1].decode().lower()] = header[2].decode()
        if status == 100:
            del self._received[: head_end + 4]
            return True
        if not self._open:
            raise ValueError(f"one more than requests: {bytes(self._received[:200])}")
        if not headers.get("content-length", "").isdigit():
            raise ValueError(f"no content-length in {lines}")
        case = self._open[-1]
        body_end = head_end + 4 + (0 if case.is_head else int(headers["content-length"]))
        if len(self._received) < body_end:
            return False
        body = bytes(self._received[head_end + 4 : body_end])
        del self._received[:body_end]
        self._open.pop()
        self._report.count(status)
        self._server_ends = headers.get("connection", "").lower() == "close"
        if status == 429 and self._conversation.is_shed_allowed:
            self._open.clear()
        elif status == 408 and "408" not in case.accepts and self._was_slow:
            self._report.kinds["slow by itself"] = self._report.kinds.get("slow by itself", 0) + 1
            self._open.clear()
        else:
            wrong = wrongs(case, status, headers, body)
            self.violations += [f"{wrong}, answering {_shown(case)}: {status} {body[:400]}"] if wrong else []
            if self._server_ends and self._open and not case.may_end and not self._may_be_silent:
                self.violations.append(
                    f"hangs up behind {_shown(case)}: {status} {body[:300]}, before {_shown(self._open[-1])} "
                    f"({self._conversation.ending})")
        return True


def wrongs(case: Case, status: int, headers: dict, body: bytes) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if status < 400:
        return "" if str(status) in case.accepts else f"is not among {sorted(case.accepts)}"
    if headers.get("content-type") != "application/problem+json":
        return f"is no problem detail but {headers.get('content-type')}"
    if status in (424, 429, 503) and not headers.get("retry-after", "").isdigit():
        return "does not say when to come back"
    if status == 405 and not headers.get("allow"):
        return "does not say which methods are allowed"
    if case.is_head:
        statuses = {accepted.split("/")[0] for accepted in case.accepts}
        return "" if str(status) in statuses else f"is not among {sorted(case.accepts)}"
    return _wrongs_of_problem(case, status, body)


def _wrongs_of_problem(case: Case, status: int, body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError as error:
        return f"is no JSON ({error})"
    if not isinstance(problem, dict) or problem.get("status") != status:
        return "does not repeat its status"
    kind, title, detail = (problem.get(name) for name in ("type", "title", "detail"))
    if not all(isinstance(text, str) and text.strip() for text in (kind, title, detail)):
        return "has no type, title or detail"
    if not re.fullmatch(r"/problems/[a-z-]+", kind) or len(detail) > 1_000:
        return "has a strange type or a very long detail"
    told = _INTERNALS.search(f"{title}. {detail}")
    # What the request says may be echoed.
    if told and told[0].encode() not in case.data:
        return f"tells internals ({told[0]})"
    if not case.accepts & {str(status), f"{status}/{kind.rsplit('/', 1)[-1]}"}:
        return f"is not among {sorted(case.accepts)}"
    return ""


def _shown(case: Case) -> str:
    data = case.data if len(case.data) <= 600 else case.data[:400] + b" ... " + case.data[-150:]
    return f"[{case.kind}, {len(case.data)} bytes] {data!r}"


async def converse(port: int, conversation: Conversation, report: Report):
    """Holds one conversation and adds to the report."""
    report.requests += len(conversation.cases)
    for case in conversation.cases:
        report.kinds[case.kind] = report.kinds.get(case.kind, 0) + 1
    try:
        _, talk = await asyncio.get_running_loop().create_connection(
            lambda: Talk(conversation, report), "127.0.0.1", port)
    except OSError as error:
        report.violations.append(f"cannot connect: {error}")
        return
    await talk.speak()
    report.violations += talk.violations
