"""The stack of docker-compose.yml, by podman-compose. To tests of the other folder it looks like a `Server`.

podman 4.3 cannot wait for a container's health, so podman-compose starts everything at once. Here the order of `depends_on` is kept
as Docker keeps it: a service starts when those that it names are healthy, or have ended with 0.
"""

import re
import sys
import time
from pathlib import Path

import yaml

from podman import CACHE, Failed, Podman, run, until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Processes"))
from http_client import Client  # noqa: E402
from server import free_port  # noqa: E402

COMPOSE = CACHE / "venv" / "bin" / "podman-compose"


class Compose:
    """One project."""

    host = "127.0.0.1"

    def __init__(self, podman: Podman, directory: Path, project: str, files=("docker-compose.yml",), environment: dict = None):
        self.podman = podman
        self.directory = directory
        self.project = project
        self.port = free_port()
        self._files = files
        self._environment = {**podman.environment, "KONTOR_GATEWAY_PORT": str(self.port), **(environment or {})}
        self.services = self._services()

    def command(self, *words, **options):
        files = [word for file in self._files for word in ("-f", file)]
        return run(
            COMPOSE, "--in-pod", "false", "-p", self.project, *files, *words, cwd=self.directory, environment=self._environment,
            **options)

    def _services(self) -> dict:
        # podman-compose prints warnings, too: the document begins with its name or services.
        _, text = self.command("config")
        document = yaml.safe_load(text[re.search(r"^(?:name|services|networks|volumes|version|x-[a-z]+):", text, re.M).start():])
        return document["services"]

    # Its life

    def start(self):
        for service in self._in_order():
            for other, condition in self._dependencies(service).items():
                self._wait(other, condition)
            self.command("up", "-d", "--no-build", "--no-deps", service, seconds=180)
        for service, description in self.services.items():
            if description.get("restart") == "always":
                self._wait(service, "service_healthy")

    def _dependencies(self, service: str) -> dict:
        dependencies = self.services[service].get("depends_on", {})
        return {name: how.get("condition") for name, how in dependencies.items()} if isinstance(dependencies, dict) else {
            name: "service_started" for name in dependencies}

    def _in_order(self) -> list:
        done = []

        def visit(service, path=()):
            assert service not in path, f"depends_on is a circle: {path}"
            for other in sorted(self._dependencies(service)):
                visit(other, (*path, service))
            if service not in done:
                done.append(service)

        for service in sorted(self.services):
            visit(service)
        return done

    def _wait(self, service: str, condition: str):
        for container in self.containers(service):
            if condition == "service_completed_successfully":
                state = until(lambda: self._ended(container), f"the end of {container}", 120)
                if state["ExitCode"] != 0:
                    raise Failed(f"{container} ended with {state['ExitCode']}:\n{self.podman('logs', container)}")
            elif condition == "service_healthy":
                try:
                    until(lambda: self.podman.is_healthy(container), f"the health of {container}", 60)
                except Failed as failure:
                    raise Failed(f"{failure}\n{self.podman('logs', '--tail', '30', container)}") from None

    def _ended(self, container: str):
        state = self.podman.inspect(container)["State"]
        return state if state["Status"] in ("exited", "stopped") else None

    def containers(self, *services) -> list:
        """Their names, of these services or of all."""
        found = self.podman.json("ps", "-a")
        return sorted(
            container["Names"][0] for container in found
            if container["Labels"].get("com.docker.compose.project") == self.project
            and (not services or container["Labels"]["com.docker.compose.service"] in services))

    def stop(self):
        self.command("down", "-v", "-t", "1", check=False, seconds=180)

    # Asking it

    def client(self, connections: int = 64) -> Client:
        return Client(self.port, connections, self.host)

    async def audit(self) -> tuple:
        """In a container, with the command that the documents name."""
        deadline = time.monotonic() + 30
        while True:
            code, output = self.command("run", "--rm", "--no-deps", "init", "audit", check=False)
            is_clean = code == 0 and "The books balance." in output and re.search(r"\b0 open checkouts", output)
            if is_clean or time.monotonic() > deadline:
                return bool(is_clean), output

    def log(self) -> str:
        return "\n".join(
            f"--- {name}\n{self.podman('logs', '--tail', '40', name, check=False)}" for name in self.containers())[-20_000:]
