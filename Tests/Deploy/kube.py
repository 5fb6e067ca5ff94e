"""The manifests' pods, played by podman. To tests it looks like a `Server`.

podman 4.3 is no Kubernetes. It plays ConfigMaps, Secrets, volume claims and pods: each workload's pod template is given to it as it is
rendered, as often as there should be replicas, in the order in which a cluster would come to rest. Services are aliases in a network.
What it lacks is left out of the templates: probes (it has no timer here), and ports (it would publish each of them on this machine).
NetworkPolicies, autoscalers, budgets, spread and the Ingress are nobody's here: test_edges.py and test_manifests.py look at them.
"""

import contextlib
import copy
import re
import secrets
import tempfile
import urllib.request
from pathlib import Path

import yaml

from Tests.Deploy.manifests import Manifests, Workload
from Tests.Deploy.podman import Podman
from Tests.kontor_testing.audits import settled_audit
from Tests.kontor_testing.http_client import Reachable
from Tests.kontor_testing.polling import eventually_blocking
from Tests.kontor_testing.ports import free_port
from Tests.kontor_testing.programs import Failed

SECRETS = {"shop": ["secret"], **{f"redis-{name}": ["password", "admin"] for name in ("order", "payment", "stock")}}


class Kube(Reachable):
    """One overlay."""

    def __init__(self, podman: Podman, overlay: str, tokens: Path = None, pods: str = "10.244.7.0/24"):
        """With `tokens`, a token file, the shop is closed. `pods` is the pods' network."""
        self.podman = podman
        self.manifests = Manifests.closed(overlay, tokens, pods) if tokens else Manifests.of(overlay)
        self.network = f"kontor-{overlay}"
        self._pods = pods
        self.port = free_port()
        self._scratch = tempfile.TemporaryDirectory(prefix="kontor-kube-")
        self._secrets = {name: {key: secrets.token_hex(24) for key in keys} for name, keys in SECRETS.items()}
        if tokens:
            self._secrets["tokens"] = {"tokens": tokens.read_text()}
        self._runs = 0

    # Start and end

    def start(self):
        self.podman("network", "create", "--subnet", self._pods, self.network)
        for name, data in self._secrets.items():
            # podman 4.3 does not decode what it mounts of a Secret, so it gets it decoded.
            path = Path(self._scratch.name) / "secret.yaml"
            path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}))
            self.podman("secret", "create", name, path)
        workloads = {workload.name: workload for workload in self.manifests.workloads}
        for workload in workloads.values():
            if workload.kind == "StatefulSet":
                self._start(workload, workload.entry["spec"]["replicas"])
        for name in ("redis-cluster", "init"):
            if name in workloads:
                self.run_job(workloads[name])
        least = {entry["spec"]["scaleTargetRef"]["name"]: entry["spec"]["minReplicas"]
                 for entry in self.manifests.of_kind("HorizontalPodAutoscaler")}
        for name in ("order", "payment", "stock"):
            self._start(workloads[name], least[name])
        for name in ("order", "payment", "stock"):
            for container in self.containers(name):
                try:
                    eventually_blocking(lambda: self.is_healthy(container), f"the health of {container}", 90)
                except Failed as failure:
                    raise Failed(f"{failure}\n{self.podman('logs', '--tail', '30', container)}") from None
        # One: a port of this machine can be given once.
        self._start(workloads["gateway"], 1)
        eventually_blocking(self._is_ready, "the readiness of the gateway and all behind it")

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{self.host}:{self.port}/health/ready", timeout=5).status == 200
        return False

    def _start(self, workload: Workload, replicas: int):
        for number in range(replicas):
            self._play_pod(workload, f"{workload.name}-{number}")

    def run_job(self, workload: Workload) -> tuple:
        """Exit status and output; the pod is gone afterwards."""
        self._runs += 1
        pod = f"{workload.name}-run-{self._runs}"
        self._play_pod(workload, pod)
        container = f"{pod}-{workload.containers[0]['name']}"
        state = eventually_blocking(lambda: self.podman.ended(container), f"the end of {container}", 180)
        output = self.podman("logs", container)
        self.podman("pod", "rm", "-f", "-t", "0", pod)
        if state["ExitCode"] != 0 and workload.name != "audit":
            raise Failed(f"{container} ended with {state['ExitCode']}:\n{output}")
        return state["ExitCode"], output

    def _play_pod(self, workload: Workload, name: str):
        spec = copy.deepcopy(workload.spec)
        claims = []
        for claim in workload.entry["spec"].get("volumeClaimTemplates", []):
            claims.append({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": f"{claim['metadata']['name']}-{name}"},
                "spec": claim["spec"]})
            spec["volumes"].append(
                {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"}})
        if workload.kind == "Job":
            # It would start it again when it has ended well, too.
            spec["restartPolicy"] = "Never"
        for volume in spec["volumes"]:
            if "secret" in volume:
                # podman 4.3 trips over a Secret that does not say so.
                volume["secret"]["optional"] = False
        for container in spec["containers"]:
            for key in ("startupProbe", "livenessProbe", "readinessProbe", "ports"):
                container.pop(key, None)
            if workload.name == "gateway":
                container["ports"] = [{"containerPort": 8000, "hostPort": self.port, "hostIP": "127.0.0.1"}]
        maps = [entry for entry in self.manifests.of_kind("ConfigMap")]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": workload.labels}, "spec": spec}
        self._play([*maps, *claims, pod], "--start=false")
        # The Services that select it are its names.
        aliases = [word for service, about in self.manifests.services.items() if workload.has(about["selector"])
                   for word in ("--alias", service)]
        infra = self.podman.json("pod", "inspect", name)["InfraContainerID"]
        self.podman("network", "disconnect", self.network, infra)
        self.podman("network", "connect", *aliases, self.network, infra)
        self.podman("pod", "start", name)

    def _play(self, objects: list, *options):
        path = Path(self._scratch.name) / "play.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        self.podman("kube", "play", *options, "--network", self.network, path, seconds=180)

    def containers(self, *workloads) -> list:
        """Their names, of these workloads."""
        names = [container["Names"][0] for container in self.podman.json("ps", "-a")]
        return sorted(
            name for name in names for workload in workloads
            if re.fullmatch(rf"{re.escape(workload)}-\d+-[a-z]+", name))

    def is_healthy(self, container: str) -> bool:
        """As the readiness probe would find it."""
        try:
            self.podman("exec", container, "kontor", "health")
            return True
        except Failed:
            return False

    def stop(self):
        self.podman.clear()
        self._scratch.cleanup()

    # Asking it

    async def clean_audit(self) -> tuple:
        """By the job that the CronJob `audit` would make."""
        [workload] = [workload for workload in self.manifests.workloads if workload.name == "audit"]
        return await settled_audit(lambda: self.run_job(workload))

    def log(self) -> str:
        names = self.containers("order", "payment", "stock", "gateway", "redis-order", "redis-payment", "redis-stock")
        return "\n".join(f"--- {name}\n{self.podman('logs', '--tail', '25', name, check=False)}" for name in names)[-20_000:]
