"""A service that is away while many checkouts are open: queues and memory stay bounded, and soon after all has ended (P5, P7).

The short form opens what it can in a few seconds. The long one is `KONTOR_OUTAGE_SECONDS=600 KONTOR_OUTAGE_SAGAS=20000
KONTOR_BASKETS=520`."""

import asyncio
import os
import time

from Tests.kontor_testing.http_client import Client
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import resident_bytes
from Tests.kontor_testing.services_case import SETTLING_SECONDS, ServicesCase

_OUTAGE_SECONDS = int(os.environ.get("KONTOR_OUTAGE_SECONDS", 20))
_SAGAS = int(os.environ.get("KONTOR_OUTAGE_SAGAS", 4_000))
_BASKETS = int(os.environ.get("KONTOR_BASKETS", 24))
_LINES = 256
_PAUSE_SECONDS = 8
_MEBIBYTE = 1 << 20
# What deploy/compose.yml and the manifests give an Order process.
_MOST_MEMORY = 512 * _MEBIBYTE
# Below this, a pool that grows by a few pages is no news.
_USUAL_MEMORY = 32 * _MEBIBYTE
# Clients at each Order process, far fewer than its requests in flight.
_CLIENTS = 300


class OutageTests(ServicesCase):
    async def _opened_shop(self, orders: int, items: int, stock: int):
        shop = await self.started_deployment(replicas=2)
        client = shop.client()
        for path in (
            f"/stock/batch_init/{items}/{stock}/1", f"/payment/batch_init/100/{orders * _LINES * 10}",
            f"/orders/batch_init/{orders}/{items}/100/1"):
            answer = await client.post(path)
            self.assertEqual(answer.status, 200, f"{path}: {answer}")
        # The gateway is ready as soon as one replica of each service is.
        for replica in shop.services:
            await eventually(replica.answers, f"the readiness of {replica}")
        return shop

    @staticmethod
    def _open_sagas(shop) -> int:
        """Counted where they are: in the index of open work of Order's store."""
        return shop.stores["order"].ask(
            "EVAL", "local n = 0 for _, key in ipairs(redis.call('KEYS', '*}open:order')) do n = n + redis.call('ZCARD', key) end"
            " return n", 0)

    @staticmethod
    def _memory(shop) -> int:
        """The largest Order or Payment process'."""
        return max(resident_bytes(service.pid) for name in ("order", "payment") for service in shop.replicas[name])

    async def _check_out(self, shop, orders, statuses: dict, milliseconds: int):
        """All of them, some at a time, at both Order processes; the answers are counted."""
        waiting = iter(orders)

        async def worker(client):
            for order in waiting:
                answer = await client.request(
                    "POST", f"/orders/checkout/{order}", {"Request-Timeout-Ms": str(milliseconds)})
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

        clients = [Client(replica.port, connections=_CLIENTS) for replica in shop.replicas["order"]]
        await asyncio.gather(*(worker(client) for client in clients for _ in range(_CLIENTS)))
        for client in clients:
            client.close()

    async def _assert_ends_soon(self, shop, what: str) -> float:
        began = time.monotonic()
        await eventually(lambda: self._open_sagas(shop) == 0, f"the end of all checkouts, {what},", 60, pause=0.05)
        return time.monotonic() - began

    async def _outage(self, what: str, take_away, bring_back):
        shop = await self._opened_shop(orders=2 * _SAGAS + 2_000, items=1_000, stock=100_000_000)
        statuses = {}
        await self._check_out(shop, range(2_000), statuses, 5_000)
        self.assertEqual(set(statuses), {200}, f"without trouble: {statuses}")
        usual = self._memory(shop)

        began = time.monotonic()
        await take_away(shop)
        statuses = {}
        await self._check_out(shop, range(2_000, 2_000 + _SAGAS), statuses, 500)
        opened = self._open_sagas(shop)
        with_sagas = self._memory(shop)
        most = with_sagas
        cpu = {service: service.cpu_seconds() for service in shop.replicas["order"]}
        waited = time.monotonic()
        while time.monotonic() - began < _OUTAGE_SECONDS:
            await asyncio.sleep(0.5)
            most = max(most, self._memory(shop))
        waited = max(0.001, time.monotonic() - waited)
        load = [(service.cpu_seconds() - before) / waited for service, before in cpu.items()]
        still = self._open_sagas(shop)
        await bring_back(shop)
        seconds = await self._assert_ends_soon(shop, what)
        most = max(most, self._memory(shop))
        print(
            f"\n{what} for {time.monotonic() - began:.0f} s: answers {statuses}; {opened} checkouts opened, {still} left; "
            f"memory {usual / _MEBIBYTE:.0f} MiB before, {with_sagas / _MEBIBYTE:.0f} MiB with them, "
            f"{most / _MEBIBYTE:.0f} MiB at most; processors meanwhile {', '.join(f'{part:.0%}' for part in load)}; "
            f"all ended {seconds:.2f} s after it was back", flush=True)
        self.assertGreater(opened, _SAGAS / 2, "many were open")
        self.assertLess(seconds, SETTLING_SECONDS)
        self.assertLess(most, min(_MOST_MEMORY, 2 * max(with_sagas, _USUAL_MEMORY)))
        await self.assert_clean_audit(shop)

    async def test_both_stock_processes_are_killed_while_many_checkouts_are_open(self):
        async def take_away(shop):
            for service in shop.replicas["stock"]:
                service.kill()

        async def bring_back(shop):
            # The time counts from where they serve again.
            await asyncio.gather(*(service.start() for service in shop.replicas["stock"]))

        await self._outage("Stock killed", take_away, bring_back)

    async def test_both_stock_processes_are_stopped_while_many_checkouts_are_open(self):
        async def take_away(shop):
            for service in shop.replicas["stock"]:
                await service.freeze()

        async def bring_back(shop):
            for service in shop.replicas["stock"]:
                service.resume()

        await self._outage("Stock stopped", take_away, bring_back)

    async def test_large_baskets_end_after_stock_was_stopped_for_8_s(self):
        """Each has 256 lines, so that there are far more messages than checkouts (F5)."""
        shop = await self._opened_shop(orders=_BASKETS, items=_LINES, stock=100_000_000)
        adds = iter([(order, item) for order in range(_BASKETS) for item in range(_LINES)])

        async def fill(client):
            for order, item in adds:
                answer = await client.post(f"/orders/addItem/{order}/{item}/1")
                # batch_init put two of the items there.
                self.assertEqual(answer.status, 200, str(answer))

        clients = [Client(replica.port) for replica in shop.replicas["order"]]
        await asyncio.gather(*(fill(client) for client in clients for _ in range(32)))
        for service in shop.replicas["stock"]:
            await service.freeze()
        statuses = {}
        checkouts = asyncio.create_task(self._check_out(shop, range(_BASKETS), statuses, 5_000))
        await asyncio.sleep(_PAUSE_SECONDS)
        for service in shop.replicas["stock"]:
            service.resume()
        seconds = await self._assert_ends_soon(shop, "large baskets")
        await checkouts
        print(
            f"\n{_BASKETS} baskets of {_LINES} lines, Stock stopped for {_PAUSE_SECONDS} s: answers {statuses}; all ended "
            f"{seconds:.2f} s after it was back; memory {self._memory(shop) / _MEBIBYTE:.0f} MiB", flush=True)
        self.assertLess(seconds, SETTLING_SECONDS)
        # Now they sell.
        statuses = {}
        await self._check_out(shop, range(_BASKETS), statuses, 30_000)
        self.assertEqual(statuses, {200: _BASKETS})
        await self.assert_clean_audit(shop)
