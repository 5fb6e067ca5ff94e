"""The manifests as kustomize renders them, and what talks to what: once as the settings say, once as the NetworkPolicies allow."""

import re
import shutil
from typing import NamedTuple

import yaml

from Tests.kontor_testing.programs import REPOSITORY, run

OVERLAYS = ("minikube", "cluster")
# A Redis node's bus is this far above its port.
_BUS = 10_000
_DNS = "outside:kube-dns"
_PLACE = re.compile(r"(?<![\w.-])([a-z][a-z0-9.-]*):(\d{2,5})(?!\d)")


class Edge(NamedTuple):
    """Who connects to whom, on the port that the receiver listens on."""

    source: str
    target: str
    port: int

    def __str__(self):
        return f"{self.source} -> {self.target}:{self.port}"


def rendered(overlay: str) -> list:
    """All objects of an overlay."""
    assert shutil.which("kubectl"), "kubectl is needed to render the manifests (kubectl kustomize)"
    return list(yaml.safe_load_all(run("kubectl", "kustomize", REPOSITORY / "k8s" / "overlays" / overlay)[1]))


# What the scripts apply to close a shop, without a cluster.
_CLOSED = """\
source k8s/deploy.sh
kubectl() { if [ "$1" = kustomize ]; then command kubectl "$@"; else cat >/dev/null; fi; }
choose_access ""
write_overlay "$0" </dev/null
kubectl kustomize "$scratch/overlay"
"""


class Manifests:
    """One overlay, rendered."""

    def __init__(self, objects: list):
        self.objects = objects
        self.config_maps = {entry["metadata"]["name"]: entry.get("data", {}) for entry in self.of_kind("ConfigMap")}
        self.workloads = [Workload(entry, self.config_maps) for entry in self.of_kind("Deployment", "StatefulSet", "Job", "CronJob")]
        self.services = {entry["metadata"]["name"]: entry["spec"] for entry in self.of_kind("Service")}

    @classmethod
    def of(cls, overlay: str):
        return cls(rendered(overlay))

    @classmethod
    def closed(cls, overlay: str, tokens, proxies: str):
        """An overlay as the scripts apply it with KONTOR_AUTH, a file, and KONTOR_TRUSTED_PROXIES."""
        environment = {"KONTOR_AUTH": str(tokens), "KONTOR_TRUSTED_PROXIES": proxies}
        text = run("bash", "-euc", _CLOSED, overlay, directory=REPOSITORY, environment=environment)[1]
        return cls(list(yaml.safe_load_all(text)))

    def of_kind(self, *kinds) -> list:
        return [entry for entry in self.objects if entry["kind"] in kinds]

    def behind(self, service: str) -> list:
        """The workloads that a Service selects."""
        return [workload for workload in self.workloads if workload.has(self.services[service]["selector"])]

    def _target_port(self, service: str, port, workload) -> int:
        for entry in self.services[service]["ports"]:
            if port in (entry["port"], entry.get("name")):
                target = entry.get("targetPort", entry["port"])
                return workload.ports[target] if isinstance(target, str) else target
        raise AssertionError(f"the Service {service} has no port {port}")

    # As the settings say

    def configured_edges(self) -> set:
        """From the addresses in variables, arguments and commands, from the Ingress, and from what Prometheus is told."""
        edges = set()
        for workload in self.workloads:
            for host, port in workload.places():
                name = host.split(".")[0]
                assert name in self.services, f"{workload.name} is told of {host}:{port}, and there is no such Service"
                for target in self.behind(name):
                    edges.add(Edge(workload.name, target.name, self._target_port(name, port, target)))
                edges.add(Edge(workload.name, _DNS, 53))
            if workload.variables.get("REDIS_CLUSTER") == "yes":
                port = workload.ports["redis"]
                for target in self.behind(workload.variables["REDIS_PEERS"]):
                    edges |= {Edge(workload.name, target.name, port), Edge(workload.name, target.name, port + _BUS)}
                edges.add(Edge(workload.name, _DNS, 53))
            if workload.annotations.get("prometheus.io/scrape") == "true":
                edges.add(Edge("outside:monitoring", workload.name, int(workload.annotations["prometheus.io/port"])))
        for ingress in self.of_kind("Ingress"):
            for rule in ingress["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]
                    port = service["port"].get("name") or service["port"]["number"]
                    for target in self.behind(service["name"]):
                        edges.add(Edge("outside:ingress-nginx", target.name, self._target_port(service["name"], port, target)))
        return edges

    # As the NetworkPolicies allow

    def allowed(self, direction: str) -> set:
        """The edges that rules of this direction, Ingress or Egress, allow. Outside the namespace the other side has no rules."""
        key, peers_key = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        edges = set()
        for policy in self.of_kind("NetworkPolicy"):
            spec = policy["spec"]
            for workload in self._selected(spec["podSelector"]):
                for rule in spec.get(key, []):
                    assert rule.get(peers_key), f"{policy['metadata']['name']} lets everybody through"
                    assert rule.get("ports"), f"{policy['metadata']['name']} opens all ports"
                    for peer in rule[peers_key]:
                        for other in self._peers(peer):
                            for port in rule["ports"]:
                                source, target = (other, workload.name) if direction == "Ingress" else (workload.name, other)
                                edges.add(Edge(source, target, port["port"]))
        return edges

    def isolated(self, direction: str) -> set:
        """The workloads that may do nothing in this direction except what is named."""
        return {
            workload.name for policy in self.of_kind("NetworkPolicy") if direction in policy["spec"]["policyTypes"]
            for workload in self._selected(policy["spec"]["podSelector"])}

    def _selected(self, selector: dict) -> list:
        found = [workload for workload in self.workloads if workload.has(selector.get("matchLabels", {}))]
        for expression in selector.get("matchExpressions", []):
            is_wanted = {"In": True, "NotIn": False}[expression["operator"]]
            found = [w for w in found if (w.labels.get(expression["key"]) in expression["values"]) is is_wanted]
        return found

    def _peers(self, peer: dict) -> list:
        if "ipBlock" in peer:
            return [f"outside:{peer['ipBlock']['cidr']}"]
        if "namespaceSelector" in peer:
            labels = {**peer["namespaceSelector"].get("matchLabels", {}), **peer.get("podSelector", {}).get("matchLabels", {})}
            return ["outside:" + (labels.get("k8s-app") or labels.get("kubernetes.io/metadata.name") or "everybody")]
        return [workload.name for workload in self._selected(peer["podSelector"])]


class Workload:
    """A Deployment, StatefulSet, Job or CronJob: its pods."""

    def __init__(self, entry: dict, config_maps: dict):
        self.entry = entry
        self.kind = "Job" if entry["kind"] == "CronJob" else entry["kind"]
        self.name = entry["metadata"]["name"]
        self.template = (entry["spec"]["jobTemplate"]["spec"] if entry["kind"] == "CronJob" else entry["spec"])["template"]
        self.spec = self.template["spec"]
        self.labels = self.template["metadata"]["labels"]
        self.annotations = self.template["metadata"].get("annotations", {})
        self.containers = self.spec.get("initContainers", []) + self.spec["containers"]
        self.ports = {port["name"]: port["containerPort"] for container in self.containers for port in container.get("ports", [])}
        self.variables = {}
        for container in self.containers:
            for source in container.get("envFrom", []):
                self.variables.update(config_maps[source["configMapRef"]["name"]])
            self.variables.update({variable["name"]: variable.get("value", "") for variable in container.get("env", [])})

    def has(self, labels: dict) -> bool:
        return all(self.labels.get(name) == value for name, value in labels.items())

    def places(self) -> set:
        """Each host:port that it is told, wherever it stands."""
        texts = [str(value) for value in self.variables.values()]
        for container in self.containers:
            texts += [str(word) for word in container.get("command", []) + container.get("args", [])]
        return {(host, int(port)) for text in texts for host, port in _PLACE.findall(text)}

    def secrets(self) -> set:
        """The keys of Secrets that it mounts, as NAME/KEY; NAME/* for all keys."""
        found = set()
        for volume in self.spec.get("volumes", []):
            secret = volume.get("secret")
            if secret:
                found |= {f"{secret['secretName']}/{item['key']}" for item in secret.get("items", [{"key": "*"}])}
        return found
