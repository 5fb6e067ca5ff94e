"""The manifests of both overlays: valid, restricted, complete."""

import unittest

import yaml

from Tests.Deploy.manifests import OVERLAYS, Manifests, rendered
from Tests.Deploy.podman import CACHE, DEBIAN, KONTOR, STANDINS
from Tests.kontor_testing.programs import REPOSITORY, run


class ManifestTests(unittest.TestCase):
    def each(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay):
                yield Manifests.of(overlay)

    def test_each_manifest_is_valid_by_the_newest_schema(self):
        for overlay in OVERLAYS:
            objects = rendered(overlay)
            code, output = run(
                CACHE / "venv/bin/kubernetes-validate", "--strict", "-", text=yaml.safe_dump_all(objects), check=False)
            self.assertEqual(code, 0, output)
            self.assertEqual(output.count(" passed for resource "), len(objects), output)

    def test_pods_are_restricted(self):
        """What the Pod Security Standard "restricted" asks for, and a read-only root file system, and no token."""
        for manifests in self.each():
            [namespace] = manifests.of_kind("Namespace")
            self.assertEqual(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
            for workload in manifests.workloads:
                pod, security = workload.spec, workload.spec["securityContext"]
                self.assertIs(security["runAsNonRoot"], True, workload.name)
                self.assertGreater(security["runAsUser"], 0, workload.name)
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"}, workload.name)
                self.assertIs(pod["automountServiceAccountToken"], False, workload.name)
                self.assertIs(pod["enableServiceLinks"], False, workload.name)
                for name in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertFalse(pod.get(name), workload.name)
                for volume in pod["volumes"]:
                    self.assertLessEqual(
                        set(volume) - {"name"}, {"configMap", "emptyDir", "secret", "persistentVolumeClaim"}, workload.name)
                for container in workload.containers:
                    self.assertEqual(container["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                        workload.name)

    def test_pods_have_resources_probes_and_time_to_end(self):
        for manifests in self.each():
            for workload in manifests.workloads:
                for container in workload.containers:
                    self.assertEqual(set(container["resources"]["requests"]), {"cpu", "memory"}, workload.name)
                    self.assertIn("memory", container["resources"]["limits"], workload.name)
                if workload.kind != "Job":
                    for container in workload.containers:
                        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                            self.assertIn(probe, container, workload.name)
                    grace = 45  # derived: longest deadline + 15 s
                    self.assertGreaterEqual(workload.spec["terminationGracePeriodSeconds"], grace, workload.name)
                    spread = {entry["topologyKey"] for entry in workload.spec["topologySpreadConstraints"]}
                    self.assertEqual(spread, {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, workload.name)
                    for entry in workload.spec["topologySpreadConstraints"]:
                        self.assertTrue(workload.has(entry["labelSelector"]["matchLabels"]), workload.name)

    def test_what_can_be_replicated_has_a_disruption_budget_and_what_is_stateless_scales(self):
        for manifests in self.each():
            budgets = [entry["spec"]["selector"]["matchLabels"] for entry in manifests.of_kind("PodDisruptionBudget")]
            scaled = {entry["spec"]["scaleTargetRef"]["name"] for entry in manifests.of_kind("HorizontalPodAutoscaler")}
            for workload in manifests.workloads:
                if workload.kind != "Job":
                    self.assertEqual(sum(workload.has(labels) for labels in budgets), 1, workload.name)
                self.assertEqual(workload.name in scaled, workload.kind == "Deployment", workload.name)
                # Otherwise each `kubectl apply` would take back what the autoscaler did.
                self.assertEqual("replicas" in workload.entry["spec"], workload.kind == "StatefulSet", workload.name)

    def test_redis_keeps_what_it_has_on_a_persistent_volume(self):
        for manifests in self.each():
            stores = [workload for workload in manifests.workloads if workload.kind == "StatefulSet"]
            self.assertEqual(len(stores), 3)
            for store in stores:
                [claim] = store.entry["spec"]["volumeClaimTemplates"]
                [mount] = [m for m in store.containers[0]["volumeMounts"] if m["name"] == claim["metadata"]["name"]]
                self.assertEqual(mount["mountPath"], "/data")
        text = (REPOSITORY / "deploy/redis/redis.conf").read_text()
        for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "dir /data"):
            self.assertIn(f"\n{line}\n", text)

    def test_the_cluster_has_a_replica_for_each_master_and_waits_for_it(self):
        manifests = Manifests.of("cluster")
        for workload in manifests.workloads:
            if workload.labels["role"] == "redis":
                self.assertEqual(workload.entry["spec"]["replicas"], 6)
                self.assertEqual(workload.variables["REDIS_CLUSTER"], "yes")
            if workload.labels["role"] == "service":
                self.assertEqual(workload.variables["KONTOR_REDIS_REPLICAS"], "1")

    def test_images_are_those_of_compose(self):
        compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
        used = {service["image"] for service in compose["services"].values()}
        for manifests in self.each():
            self.assertEqual({c["image"] for workload in manifests.workloads for c in workload.containers}, used)
        known = {image.removeprefix("docker.io/library/").removeprefix("localhost/") for image in (*STANDINS, KONTOR)}
        self.assertEqual(used, known, "and those are the ones that are tried here")
        self.assertIn(f"FROM {DEBIAN} AS run", (REPOSITORY / "Dockerfile").read_text())

    def test_a_service_finds_who_is_not_ready_by_its_links_and_the_gateway_does_not(self):
        """A service is ready once it has links to the others. If links needed readiness, nobody would ever be."""
        for manifests in self.each():
            for name in ("order", "payment", "stock"):
                self.assertIs(manifests.services[f"{name}-internal"].get("publishNotReadyAddresses"), True)
                self.assertFalse(manifests.services[name].get("publishNotReadyAddresses"))
                self.assertEqual(manifests.services[name]["clusterIP"], "None")
                links = [value for workload in manifests.workloads for key, value in workload.variables.items()
                         if key.startswith("KONTOR_") and key.endswith(f"{name.upper()}_URL")]
                self.assertTrue(links)
                self.assertEqual(set(links), {f"http://{name}-internal:8100"})
