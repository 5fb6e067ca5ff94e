"""A real Prometheus that scrapes one server, with the alerting rules of the documentation."""

import contextlib
import json
import urllib.parse
import urllib.request
from pathlib import Path

from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import REPOSITORY
from Tests.kontor_testing.running.processes import ManagedProcess
from Tests.kontor_testing.running.server import Server

ALERTS = REPOSITORY / "docs" / "alerts.yml"
_CONFIGURATION = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1s}}
rule_files: ["{alerts}"]
scrape_configs:
  - job_name: kontor
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus(ManagedProcess):
    """One that has a directory of its own, and knows what it has scraped."""

    def __init__(self, directory: Path, server: Server):
        super().__init__("prometheus", directory.with_suffix(".log"))
        self._port = free_port()
        self._tables = directory / "tsdb"
        self._configuration = directory / "prometheus.yml"
        directory.mkdir()
        self._configuration.write_text(_CONFIGURATION.format(alerts=ALERTS, port=server.internal_port))

    def command(self) -> list:
        return ["prometheus", f"--config.file={self._configuration}", f"--storage.tsdb.path={self._tables}",
                f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn"]

    async def start(self):
        self.spawn()
        await eventually(lambda: self.value('up{job="kontor"}') == 1, "the first scrape")

    def query(self, expression: str) -> dict:
        """What the expression gives now, by the labels of each series without those of the scrape."""
        result = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        values = {}
        for series in result.get("result", []):
            labels = {k: v for k, v in series["metric"].items() if k not in ("__name__", "instance", "job")}
            values[tuple(sorted(labels.items()))] = float(series["value"][1])
        return values

    def value(self, expression: str):
        """The value of the only series of an expression; None if there is none."""
        values = list(self.query(expression).values())
        assert len(values) <= 1, f"{expression} gives {len(values)} series"
        return values[0] if values else None

    def firing(self) -> list:
        return [alert["labels"] for alert in self._get("/api/v1/alerts").get("alerts", []) if alert["state"] == "firing"]

    def rules(self) -> list:
        """The alerts that it knows, each with its health."""
        groups = self._get("/api/v1/rules").get("groups", [])
        return [(rule["name"], rule["health"]) for group in groups for rule in group["rules"]]

    def targets(self) -> list:
        """The health and last error of each target."""
        return [(target["health"], target["lastError"]) for target in self._get("/api/v1/targets")["activeTargets"]]

    def _get(self, path: str) -> dict:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return json.loads(answer.read())["data"]
        return {}
