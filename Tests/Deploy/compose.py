"""The stack of docker-compose.yml, by podman-compose. To tests it looks like a `Server`.

podman 4.3 cannot wait for a container's health, so podman-compose starts everything at once. Here the order of `depends_on` is kept
as Docker keeps it: a service starts when those that it names are healthy, or have ended with 0.
"""

import re
from pathlib import Path

import yaml

from Tests.Deploy.podman import CACHE, Podman
from Tests.kontor_testing.audits import settled_audit
from Tests.kontor_testing.http_client import Reachable
from Tests.kontor_testing.polling import eventually_blocking
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import Failed, run

COMPOSE = CACHE / "venv" / "bin" / "podman-compose"


class Compose(Reachable):
    """One project."""

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
            COMPOSE, "--in-pod", "false", "-p", self.project, *files, *words, directory=self.directory, environment=self._environment,
            **options)

    def _services(self) -> dict:
        # podman-compose prints warnings, too: the document begins with its name or services.
        _, text = self.command("config")
        document = yaml.safe_load(text[re.search(r"^(?:name|services|networks|volumes|version|x-[a-z]+):", text, re.M).start():])
        return document["services"]

    # Start and end

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
                state = eventually_blocking(lambda: self.podman.ended(container), f"the end of {container}", 120)
                if state["ExitCode"] != 0:
                    raise Failed(f"{container} ended with {state['ExitCode']}:\n{self.podman('logs', container)}")
            elif condition == "service_healthy":
                try:
                    eventually_blocking(lambda: self.podman.is_healthy(container), f"the health of {container}", 60)
                except Failed as failure:
                    raise Failed(f"{failure}\n{self.podman('logs', '--tail', '30', container)}") from None

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

    async def clean_audit(self) -> tuple:
        """In a container, with the command that the documents name."""
        return await settled_audit(lambda: self.command("run", "--rm", "--no-deps", "init", "audit", check=False))

    def log(self) -> str:
        return "\n".join(
            f"--- {name}\n{self.podman('logs', '--tail', '40', name, check=False)}" for name in self.containers())[-20_000:]
