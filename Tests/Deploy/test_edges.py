"""Who may talk to whom: the NetworkPolicies against the settings, and compose's networks against the same."""

import copy
import unittest

import yaml

from Tests.Deploy.manifests import OVERLAYS, Edge, Manifests
from Tests.kontor_testing.programs import REPOSITORY


def differences(manifests: Manifests) -> list:
    """What the policies lack, or allow without need, in words."""
    configured = manifests.configured_edges()
    found = []
    for direction, side in (("Ingress", "target"), ("Egress", "source")):
        # A policy has a say only about pods of this namespace.
        wanted = {edge for edge in configured if not getattr(edge, side).startswith("outside:")}
        allowed = manifests.allowed(direction)
        found += [f"{edge} is used, and no {direction} rule allows it" for edge in sorted(wanted - allowed)]
        found += [f"{edge} is allowed by an {direction} rule, and nothing uses it" for edge in sorted(allowed - wanted)]
        found += [f"{workload.name} may do anything in the direction {direction}" for workload in manifests.workloads
                  if workload.name not in manifests.isolated(direction)]
    return found


class EdgeTests(unittest.TestCase):
    def test_the_network_policies_allow_what_the_settings_use_and_nothing_else(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay):
                manifests = Manifests.of(overlay)
                edges = manifests.configured_edges()
                # Some that must be among them, or nothing was compared.
                for edge in (("order", "stock", 8100), ("stock", "order", 8100), ("gateway", "payment", 8000),
                             ("payment", "redis-payment", 6379), ("init", "redis-order", 6379),
                             ("outside:ingress-nginx", "gateway", 8000), ("outside:monitoring", "order", 8100)):
                    self.assertIn(Edge(*edge), edges)
                bus = Edge("redis-stock", "redis-stock", 16379)
                self.assertEqual(bus in edges, overlay == "cluster")
                self.assertEqual(differences(manifests), [])

    def test_each_rule_that_is_taken_away_is_missed(self):
        """The comparison can fail: rule by rule, in both directions; and so can that of a rule too many."""
        for overlay in OVERLAYS:
            manifests = Manifests.of(overlay)
            tried = 0
            for index, entry in enumerate(manifests.objects):
                if entry["kind"] != "NetworkPolicy":
                    continue
                for direction in ("ingress", "egress"):
                    for rule in range(len(entry["spec"].get(direction, []))):
                        objects = copy.deepcopy(manifests.objects)
                        del objects[index]["spec"][direction][rule]
                        self.assertTrue(differences(Manifests(objects)), f"{entry['metadata']['name']}: {direction} {rule}")
                        tried += 1
            self.assertGreater(tried, 15)
            objects = copy.deepcopy(manifests.objects)
            [order] = [e for e in objects if e["kind"] == "NetworkPolicy" and e["metadata"]["name"] == "order"]
            order["spec"]["egress"].append(
                {"to": [{"podSelector": {"matchLabels": {"app": "redis-stock"}}}], "ports": [{"protocol": "TCP", "port": 6379}]})
            self.assertEqual(len(differences(Manifests(objects))), 1)
            objects = [e for e in manifests.objects if e["metadata"]["name"] != "default-deny"]
            self.assertTrue(differences(Manifests(objects)), "without the default deny")

    def test_composes_networks_join_those_who_talk_and_no_others_to_a_store(self):
        compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
        networks = {name: set(service.get("networks", ())) for name, service in compose["services"].items()}
        # Its `init` is also who audits.
        edges = {(edge.source.replace("audit", "init"), edge.target) for edge in Manifests.of("minikube").configured_edges()
                 if not edge.source.startswith("outside:") and not edge.target.startswith("outside:")}
        for source, target in edges:
            self.assertTrue(networks[source] & networks[target], f"{source} cannot reach {target}")
        for store in (name for name in networks if name.startswith("redis-")):
            who = {name for name in networks if name != store and networks[name] & networks[store]}
            self.assertEqual(who, {source for source, target in edges if target == store}, store)
        self.assertEqual([name for name in networks if "front" in networks[name]], ["gateway"])
        self.assertEqual([name for name, service in compose["services"].items() if service.get("ports")], ["gateway"])
        self.assertEqual([name for name, network in compose["networks"].items() if not (network or {}).get("internal")], ["front"])
