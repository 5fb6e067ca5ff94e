"""The scripts: shellcheck finds nothing, and both deploy-charts-*.sh, with a kubectl that only writes down, can be repeated."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from Tests.Deploy.manifests import OVERLAYS, Manifests
from Tests.Deploy.podman import CACHE
from Tests.kontor_testing.programs import REPOSITORY, run

TOKENS = "backend read,orders,payments sha256:" + "5" * 64 + " never\n"
PODS = "10.244.0.0/16"

# It keeps Secrets and the names of what was applied below $FAKE; it renders with the real kubectl.
_KUBECTL = """\
#!/bin/sh
echo "kubectl $*" >>"$FAKE/calls"
case "$1 $2 $3 $4" in
kustomize*) exec @KUBECTL@ "$@" ;;
"-n kontor get secret") [ -d "$FAKE/secrets/$5" ] ;;
"-n kontor create secret") case $7 in
    --from-file=tokens=*) mkdir -p "$FAKE/tokens" && cp "${7#--from-file=tokens=}" "$FAKE/tokens/tokens" ;;
    *) mkdir -p "$FAKE/secrets" && cp -r "${7#--from-file=}" "$FAKE/secrets/$6" ;;
    esac ;;
"apply -f - "*) cat >"$FAKE/applied.yaml" ;;
esac
"""


class ScriptTests(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, check=True, timeout=60,
            stdout=subprocess.PIPE).stdout.decode().split("\0")
        scripts = [
            name for name in filter(None, names) if (REPOSITORY / name).is_file()
            and re.match(rb"#!.*\b(ba)?sh\b|# shellcheck shell=", (REPOSITORY / name).read_bytes()[:60])]
        for name in ("deploy-charts-minikube.sh", "deploy-charts-cluster.sh", "k8s/deploy.sh", "deploy/gateway/run",
                     "deploy/gateway/configure", "deploy/redis/start", "deploy/redis/create-cluster", "deploy/make-secrets"):
            self.assertIn(name, scripts)
        code, output = run("shellcheck", "-x", *scripts, directory=REPOSITORY, check=False)
        self.assertEqual(code, 0, output)

    def fakes(self) -> tuple:
        """A directory of tools that only write down what they are told, and the environment in which a script finds them."""
        scratch = tempfile.TemporaryDirectory(prefix="kontor-scripts-")
        self.addCleanup(scratch.cleanup)
        fake = Path(scratch.name)
        for name in ("kubectl", "minikube", "helm"):
            (fake / name).write_text(
                _KUBECTL.replace("@KUBECTL@", shutil.which("kubectl")) if name == "kubectl"
                else f'#!/bin/sh\necho "{name} $*" >>"$FAKE/calls"\n')
            (fake / name).chmod(0o755)
        (fake / "tokenfile").write_text(TOKENS)
        return fake, {
            "FAKE": str(fake), "PATH": f"{fake}:{os.environ['PATH']}", "KONTOR_IMAGE": "registry.example/kontor:7"}

    def test_a_deployment_can_be_repeated_and_keeps_its_secrets(self):
        for script, overlay, choice in (("minikube", "minikube", {}), ("cluster", "cluster", {"KONTOR_OPEN": "yes"})):
            with self.subTest(script):
                fake, environment = self.fakes()
                drawn = []
                for _ in range(2):
                    run(REPOSITORY / f"deploy-charts-{script}.sh", environment={**environment, **choice})
                    drawn.append(
                        {str(path.relative_to(fake / "secrets")): path.read_text() for path in (fake / "secrets").glob("*/*")})
                secrets, again = drawn
                self.assertEqual(again, secrets)
                self.assertEqual(len(set(secrets.values())), len(secrets), "each is drawn by itself")
                self.assertTrue(all(re.fullmatch(r"[0-9a-f]{48}", text) for text in secrets.values()))
                self._assert_applied(fake, overlay, secrets)

    def test_the_cluster_script_applies_nothing_before_somebody_chooses_who_may_use_the_shop(self):
        fake, environment = self.fakes()
        tokens = {"KONTOR_AUTH": str(fake / "tokenfile")}
        (fake / "nothing").touch()
        for choice, words in (
            ({}, "Choose who may use the shop"), ({"KONTOR_OPEN": "no"}, "Choose who may use the shop"),
            (tokens, "KONTOR_TRUSTED_PROXIES"),
            ({**tokens, "KONTOR_TRUSTED_PROXIES": PODS, "KONTOR_OPEN": "yes"}, "exclude each other"),
            ({"KONTOR_AUTH": str(fake / "none"), "KONTOR_TRUSTED_PROXIES": PODS}, "no file with a token"),
            ({"KONTOR_AUTH": str(fake / "nothing"), "KONTOR_TRUSTED_PROXIES": PODS}, "no file with a token"),
        ):
            code, output = run(REPOSITORY / "deploy-charts-cluster.sh", environment={**environment, **choice}, check=False)
            self.assertEqual((code, words in output, output.count("\n")), (1, True, 1), output)
            self.assertFalse((fake / "calls").exists(), choice)

    def test_a_shop_that_was_closed_is_not_opened_by_leaving_out_a_variable(self):
        fake, environment = self.fakes()
        (fake / "secrets" / "tokens").mkdir(parents=True)
        code, output = run(REPOSITORY / "deploy-charts-minikube.sh", environment=environment, check=False)
        self.assertEqual((code, "Choose who may use the shop" in output), (1, True), output)
        self.assertFalse((fake / "applied.yaml").exists())
        run(REPOSITORY / "deploy-charts-minikube.sh", environment={**environment, "KONTOR_OPEN": "yes"})
        self.assertTrue((fake / "applied.yaml").exists())

    def test_a_closed_deployment_mounts_the_tokens_into_the_three_services_and_names_the_gateway(self):
        for script in ("minikube", "cluster"):
            with self.subTest(script):
                fake, environment = self.fakes()
                environment.update(KONTOR_AUTH=str(fake / "tokenfile"), KONTOR_TRUSTED_PROXIES=f"{PODS},192.0.2.7")
                run(REPOSITORY / f"deploy-charts-{script}.sh", environment=environment)
                self.assertEqual((fake / "tokens" / "tokens").read_text(), TOKENS)
                text = (fake / "applied.yaml").read_text()
                run(CACHE / "venv/bin/kubernetes-validate", "--strict", "-", text=text)
                applied = Manifests(list(yaml.safe_load_all(text)))
                self.assertEqual(len(applied.objects), len(Manifests.of(script).objects))
                for workload in applied.workloads:
                    is_service = workload.labels["role"] == "service"
                    self.assertEqual("tokens/*" in workload.secrets(), is_service, workload.name)
                    if is_service:
                        [mount] = [entry for entry in workload.containers[0]["volumeMounts"] if entry["name"] == "tokens"]
                        self.assertEqual(workload.variables["KONTOR_AUTH"], mount["mountPath"] + "/tokens")
                        self.assertEqual(workload.variables["KONTOR_TRUSTED_PROXIES"], environment["KONTOR_TRUSTED_PROXIES"])
                    if workload.name == "gateway":
                        self.assertEqual(workload.variables["GATEWAY_TRUSTED_PROXIES"], environment["KONTOR_TRUSTED_PROXIES"])

    def _assert_applied(self, fake: Path, overlay: str, secrets: dict):
        applied = Manifests(list(yaml.safe_load_all((fake / "applied.yaml").read_text())))
        self.assertEqual(len(applied.objects), len(Manifests.of(overlay).objects))
        images = {container["image"] for workload in applied.workloads for container in workload.containers}
        self.assertNotIn("kontor:local", images)
        self.assertTrue(overlay == "minikube" or "registry.example/kontor:7" in images, images)
        wanted = set()
        for workload in applied.workloads:
            for name in workload.secrets():
                wanted |= {key for key in secrets if key == name or name.endswith("/*") and key.startswith(name[:-1])} or {name}
        self.assertEqual(wanted, set(secrets), "what the pods mount is what the script makes")

    def test_nobody_mounts_a_secret_that_is_not_its_own(self):
        for overlay in OVERLAYS:
            for workload in Manifests.of(overlay).workloads:
                secrets, role = workload.secrets(), workload.labels["role"]
                if role == "service":
                    self.assertEqual(secrets, {"shop/*", f"redis-{workload.name}/password"})
                elif role == "redis":
                    self.assertEqual(secrets, {f"{workload.name}/*"})
                elif workload.name in ("init", "audit"):
                    self.assertEqual(secrets, {f"redis-{name}/password" for name in ("order", "payment", "stock")})
                elif workload.name == "redis-cluster":
                    self.assertEqual(secrets, {f"redis-{name}/admin" for name in ("order", "payment", "stock")})
                else:
                    self.assertEqual(secrets, set(), workload.name)

    def test_the_charts_values_are_used_by_the_script(self):
        """The chart itself is not to be had without a network: only that the file is there, is YAML, and is for its controller."""
        text = (REPOSITORY / "deploy-charts-cluster.sh").read_text()
        for path in (REPOSITORY / "helm-config").glob("*.yaml"):
            self.assertIn(f"helm-config/{path.name}", text)
            self.assertEqual(list(yaml.safe_load(path.read_text())), ["controller"])
