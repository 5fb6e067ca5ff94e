"""P8: what an operator's Prometheus sees is what happened, and the alerts and pages of the documentation are right."""

import asyncio
import re
from pathlib import Path

from Tests.kontor_testing.case import ServerCase
from Tests.kontor_testing.http_client import get_once
from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import unread_connections
from Tests.kontor_testing.programs import REPOSITORY, run
from Tests.kontor_testing.remembering.shop import Shop
from Tests.Processes.operations.prometheus import ALERTS, Prometheus

_PRICE = 125
_CONNECTIONS = 64
_RULE_TESTS = Path(__file__).with_name("alerts_test.yml")


# What a page of an idle embedded shop does not have: answers to requests, and what only services over Redis, or a shop with
# TLS, tell.
ELSEWHERE = {
    "kontor_http_request_seconds", "kontor_clock_skew_seconds", "kontor_store_shard_unused",
    "kontor_tls_certificate_end_seconds", "kontor_tls_handshakes_failed_total"}


class PrometheusTests(ServerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.require("prometheus")
        self.server = await self.started_server()
        self.shop = Shop(self.server.client(_CONNECTIONS))
        self.prometheus = Prometheus(self.scratch("prometheus"), self.server)
        self.addCleanup(self.prometheus.stop)
        await self.prometheus.start()

    async def test_prometheus_sees_what_the_client_saw(self):
        """Checkouts that are paid, refused, contended and repeated; the numbers are the client's, exactly."""
        shop = self.shop
        plenty, scarce = await shop.create_item(_PRICE, 1_000), await shop.create_item(_PRICE, 7)
        rich, poor = await shop.create_user(10_000_000), await shop.create_user(_PRICE)
        orders = [await shop.order_of(rich, {plenty: 2}) for _ in range(40)]
        orders += [await shop.order_of(poor, {plenty: 3}) for _ in range(5)]
        orders += [await shop.order_of(rich, {scarce: 1}) for _ in range(40)]
        empty = [await shop.order_of(rich, {}) for _ in range(3)]
        # The server finds all that its connections can bring at once, so that checkouts contend however busy the machine is.
        await self.server.freeze()
        checkouts = [asyncio.create_task(shop.checkout(order)) for order in orders]
        await eventually(lambda: unread_connections(self.server.port) == _CONNECTIONS, "requests on all connections")
        self.server.resume()
        outcomes = await asyncio.gather(*checkouts)
        statuses = [outcome.status for outcome in outcomes]
        self.assertEqual((statuses.count(200), statuses.count(409)), (47, 38), statuses)
        for order in empty:
            self.assertEqual((await shop.checkout(order)).status, 409)
        for order in orders[:4]:
            self.assertEqual((await shop.checkout(order)).status, 200)
        prometheus = self.prometheus

        def sees(expression, value):
            return eventually(lambda: prometheus.value(expression) == value, f"{expression} = {value}", seconds=10)

        await sees('kontor_checkouts_total{outcome="paid"}', 47)
        await sees('kontor_checkouts_total{outcome="out_of_stock"}', 33)
        await sees('kontor_checkouts_total{outcome="out_of_credit"}', 5)
        await sees("sum(kontor_checkouts_total)", 85)
        await sees('kontor_checkouts_not_begun_total{reason="empty_order"}', 3)
        await sees('kontor_checkouts_not_begun_total{reason="already_paid"}', 4)
        await sees('kontor_http_request_seconds_count{route="/orders/checkout",status="200"}', 51)
        await sees('kontor_http_request_seconds_count{route="/orders/checkout",status="409"}', 41)
        await sees('kontor_http_request_seconds_bucket{route="/orders/checkout",status="200",le="+Inf"}', 51)
        await sees('kontor_ledger_captured{ledger="stock"}', 2 * 40 + 7)
        await sees('kontor_ledger_captured{ledger="payment"}', (2 * 40 + 7) * _PRICE)
        await sees('kontor_ledger_balance{ledger="stock"}', 1_007 - (2 * 40 + 7))
        await sees("sum(kontor_ledger_held)", 0)
        await sees("kontor_open_sagas", 0)
        await sees("sum(kontor_open_work_records)", 0)
        self.assertEqual(set(prometheus.query("kontor_conservation_error").values()), {0.0})
        self.assertEqual(set(prometheus.query("kontor_anomalies_total").values()), {0.0})
        self.assertEqual(len(prometheus.query("kontor_anomalies_total")), 5, "an anomaly without a series cannot be seen")
        self.assertGreater(prometheus.value('kontor_contended_commands_total{ledger="stock"}'), 0)
        self.assertGreater(prometheus.value("kontor_checkout_retries_total"), 0)
        self.assertGreater(prometheus.value("kontor_journal_sync_seconds_count"), 0)
        self.assertGreater(prometheus.value("process_resident_memory_bytes"), 1 << 20)
        self.assertEqual(prometheus.value("kontor_metrics_dropped_series_total"), 0)
        await self.assert_clean_audit(self.server)
        # Every rule was evaluated on these series, none failed, and a healthy shop fires none.
        await eventually(
            lambda: {health for _, health in prometheus.rules()} == {"ok"}, "the evaluation of all rules", seconds=20)
        self.assertEqual(prometheus.firing(), [])
        self.assertEqual(prometheus.targets(), [("up", "")], prometheus.log())

    async def test_after_a_kill_the_metrics_are_back(self):
        """Counters begin at 0 again, as Prometheus expects, and the start tells what it found."""
        shop, prometheus = self.shop, self.prometheus
        item, user = await shop.create_item(_PRICE, 100), await shop.create_user(1_000_000)
        for _ in range(3):
            self.assertEqual((await shop.checkout(await shop.order_of(user, {item: 1}))).status, 200)
        paid = 'kontor_checkouts_total{outcome="paid"}'
        await eventually(lambda: prometheus.value(paid) == 3, "three paid", seconds=10)
        started = prometheus.value("process_start_time_seconds")
        self.server.kill()
        await eventually(lambda: prometheus.value('up{job="kontor"}') == 0, "a failed scrape", seconds=10)
        await self.server.start()
        await eventually(lambda: prometheus.value(paid) == 0, "the counters of the new process", seconds=10)
        self.assertEqual(prometheus.value("kontor_ready"), 1)
        self.assertGreater(prometheus.value("process_start_time_seconds"), started)
        self.assertEqual(prometheus.value("kontor_recovered_sagas_total"), 0)
        self.assertEqual((await shop.checkout(await shop.order_of(user, {item: 1}))).status, 200)
        await eventually(lambda: prometheus.value(paid) == 1, "one more", seconds=10)
        self.assertEqual(set(prometheus.query("kontor_conservation_error").values()), {0.0})


class PageTests(ServerCase):
    async def test_the_page_is_well_made_and_not_public(self):
        self.require("promtool")
        server = await self.started_server()
        shop = Shop(server.client())
        item = await shop.create_item(100, 10)
        await shop.checkout(await shop.order_of(await shop.create_user(1_000), {item: 1}))
        page = await get_once(server.internal_port, "/metrics")
        self.assertEqual(page.status, 200)
        self.assertEqual(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        code, output = run("promtool", "check", "metrics", text=page.body.decode(), check=False)
        self.assertEqual((code, output), (0, ""))
        public = await shop.client.get("/metrics")
        self.assertEqual(public.status, 404)

    async def test_every_metric_is_described_to_operators_and_has_a_help(self):
        server = await self.started_server()
        page = (await get_once(server.internal_port, "/metrics")).body.decode()
        names = set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))
        self.assertGreater(len(names), 40)
        self.assertNotIn("No description.", page)
        documented = (REPOSITORY / "docs" / "operating.md").read_text()
        self.assertEqual([name for name in sorted(names) if f"`{name}`" not in documented], [])
        for name in set(re.findall(r"`((?:kontor|process)_\w+)`", documented)):
            self.assertIn(name, names | ELSEWHERE, "documented, and not there")

    async def test_a_scrape_does_not_hold_the_shop_up(self):
        """Checkouts go on while the page is asked for again and again."""
        server = await self.started_server()
        shop = Shop(server.client())
        item, user = await shop.create_item(100, 10_000), await shop.create_user(10_000_000)
        orders = [await shop.order_of(user, {item: 1}) for _ in range(300)]
        is_done = False

        async def scrape_on():
            count = 0
            while not is_done:
                self.assertEqual((await get_once(server.internal_port, "/metrics")).status, 200)
                count += 1
            return count

        scraping = asyncio.create_task(scrape_on())
        outcomes = await asyncio.gather(*(shop.checkout(order) for order in orders))
        is_done = True
        self.assertGreater(await scraping, 0)
        self.assertEqual({outcome.status for outcome in outcomes}, {200})


class AlertTests(ServerCase):
    async def test_the_alerts_are_valid_fire_when_they_should_and_are_explained(self):
        self.require("promtool")
        code, output = run("promtool", "check", "rules", ALERTS, check=False)
        self.assertEqual(code, 0, output)
        code, output = run("promtool", "test", "rules", _RULE_TESTS, check=False)
        self.assertEqual(code, 0, output)
        explained = (REPOSITORY / "docs" / "operating.md").read_text()
        alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
        self.assertEqual([alert for alert in alerts if f"`{alert}`" not in explained], [])
