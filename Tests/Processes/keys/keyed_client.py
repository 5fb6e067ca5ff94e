"""Writes under idempotency keys: each is sent until it is answered, and each answer that breaks a promise is noted."""

import asyncio
import collections
import time
from dataclasses import dataclass

from Tests.kontor_testing.http_client import Answer, Client

# Nobody is without an answer for longer, kills and restarts included.
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.02
# So many requests give the server too little time now and then: what became of them is not known, and is told when asked again.
_HURRIES = 0.05
# Answers after which the same request is to be sent again.
_PASSING = (
    "idempotency-key-in-use", "idempotency-keys-full", "overloaded", "not-serving", "unavailable", "no-room", "outcome-unknown",
    "contended", "order-checking-out")


@dataclass
class Write:
    """One logical write: what was meant, and the one answer that it has."""

    kind: str
    method: str
    path: str
    key: str
    answer: Answer = None
    # How often an answer said that it was carried out by this very request.
    firsts: int = 0

    def __str__(self):
        return f"{self.method} {self.path} under the key {self.key}"


class KeyedClient:
    """Sends writes until they have an answer, and notes each answer that is wrong."""

    def __init__(self, client: Client, random):
        self._client = client
        self._random = random
        self.tally = collections.Counter()
        self.violations = []

    async def send(self, write: Write, may_be_refused_as: str = None) -> Answer:
        """Returns a 2xx, or the refusal that is expected; another one is a violation."""
        was_done = write.answer is not None
        answer = await self._until_answered(write.method, write.path, write.key, was_done)
        is_replay = answer.headers.get("idempotent-replayed") == "true"
        if answer.status >= 300:
            if write.answer is not None:
                self._accuse(write, f"was done, and is then answered with {answer}")
            elif answer.problem != may_be_refused_as:
                self._accuse(write, f"is answered with {answer}")
            if is_replay:
                self._accuse(write, f"was refused, and the refusal was kept: {answer}")
            return answer
        self.tally["replayed" if is_replay else "done"] += 1
        write.firsts += not is_replay
        if write.answer is None:
            write.answer = answer
        elif (answer.status, answer.body) != (write.answer.status, write.answer.body):
            self._accuse(write, f"is answered with {write.answer}, then with {answer}")
        # Who checks out an order while it is checked out joins that checkout, and gets its answer as the first one does.
        if was_done and not is_replay:
            self._accuse(write, f"was done before this request, which is not told so: {answer.headers}")
        elif write.firsts > 1 and write.kind != "checkout":
            self._accuse(write, f"was carried out {write.firsts} times")
        return answer

    async def expect_refusal(self, write: Write, path: str):
        """Another request under the key of a write that was done."""
        answer = await self._until_answered(write.method, path, write.key, was_done=False)
        self.tally["other request under a key"] += 1
        if answer.status != 422 or answer.problem != "idempotency-key-reused":
            self._accuse(write, f"was done, and {path} under the same key is answered with {answer}")

    async def _until_answered(self, method: str, path: str, key: str, was_done: bool) -> Answer:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            headers = {"Idempotency-Key": key}
            if self._random.random() < _HURRIES:
                headers["Request-Timeout-Ms"] = self._random.randint(1, 20)
            outcome = await self._client.request(method, path, headers)
            if isinstance(outcome, Answer):
                self.tally[outcome.problem or outcome.status] += 1
                if outcome.problem not in _PASSING:
                    return outcome
                if outcome.problem == "idempotency-key-in-use":
                    self._judge_in_use(method, path, key, outcome, was_done)
            else:
                self.tally["unanswered"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"{method} {path} under the key {key} has no answer after {_PATIENCE_SECONDS} s: {outcome}")

    def _judge_in_use(self, method: str, path: str, key: str, answer: Answer, was_done: bool):
        is_well_said = answer.status == 409 and answer.headers.get("retry-after", "").isdigit()
        if was_done or not is_well_said:
            self.violations.append(f"{method} {path} under the key {key} (done: {was_done}) is answered with {answer}")

    def _accuse(self, write: Write, sentence: str):
        self.violations.append(f"{write} {sentence}")
