"""A real Prometheus that scrapes one server, with the alerting rules of the documentation."""

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

from server import REPOSITORY, Server, free_port, until

ALERTS = REPOSITORY / "docs" / "alerts.yml"
_CONFIGURATION = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1s}}
rule_files: ["{alerts}"]
scrape_configs:
  - job_name: kontor
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    def __init__(self, directory: Path, server: Server):
        self._directory = directory
        self._server = server
        self._port = free_port()
        self._process = None

    async def start(self):
        self._directory.mkdir()
        configuration = self._directory / "prometheus.yml"
        configuration.write_text(_CONFIGURATION.format(alerts=ALERTS, port=self._server.internal_port))
        log = open(self._directory / "log", "ab")
        with log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={self._directory / 'tsdb'}",
                 f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        await until(lambda: self.value('up{job="kontor"}') == 1, "the first scrape")

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")

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
