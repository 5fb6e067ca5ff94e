"""Requests to the shop, as its clients send them: very many at once."""

import asyncio
import json
import os
import resource
from decimal import Decimal
from pathlib import Path

import aiohttp

# Connections while things are made and read. A checkout has one of its own.
_CONNECTIONS = 100
# Nobody is answered later than this.
_PATIENCE_SECONDS = 60  # derived: longest deadline + 30 s
# Of a request without an answer that tells what became of it: how often it is sent again, and after which pause.
_REPETITIONS = 20
_PAUSE_SECONDS = 0.5


def gateway_url() -> str:
    """SHOP_URL, or GATEWAY_URL in the `urls.json` beside this file."""
    return os.environ.get("SHOP_URL") or json.loads(Path(__file__).with_name("urls.json").read_text())["GATEWAY_URL"]


class ShopClient:
    """Speaks to one gateway; to be used with `async with`."""

    def __init__(self, url: str):
        self._url = url.rstrip("/")
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        # Checkouts that were sent again, because nobody said what became of them.
        self.repetitions = 0

    async def __aenter__(self):
        # A connection for each checkout, and what else is open, as far as the system allows.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=_PATIENCE_SECONDS))
        return self

    async def __aexit__(self, *_):
        await self._session.close()

    async def make(self, path: str) -> dict:
        """A write that has to succeed before the test can begin."""
        async with self._slots, self._session.post(self._url + path) as answer:
            text = await answer.text()
            if not 200 <= answer.status < 300:
                raise ShopFailure(f"POST {path}: {answer.status} {text}")
            return json.loads(text) if text.startswith("{") else {}

    async def read(self, path: str) -> dict:
        async with self._slots, self._session.get(self._url + path) as answer:
            text = await answer.text()
            if not 200 <= answer.status < 300:
                raise ShopFailure(f"GET {path}: {answer.status} {text}")
            return json.loads(text, parse_float=Decimal)

    async def check_out(self, order: str) -> int:
        """The status of the first answer that says what became of it: 2xx or 4xx. Of any other, or none, the last one (0: none)."""
        for repetition in range(_REPETITIONS):
            if repetition:
                self.repetitions += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            try:
                async with self._session.post(f"{self._url}/orders/checkout/{order}") as answer:
                    status = answer.status
                    await answer.read()
            except (aiohttp.ClientError, asyncio.TimeoutError):
                status = 0
            if 200 <= status < 300 or 400 <= status < 500:
                break
        return status


class ShopFailure(Exception):
    """The test could not be made ready, or its outcome not be read."""
