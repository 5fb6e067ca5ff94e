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
from Tests.kontor_testing.programs import REPOSITORY, run

# It keeps Secrets and the names of what was applied below $FAKE; it renders with the real kubectl.
_KUBECTL = """\
#!/bin/sh
echo "kubectl $*" >>"$FAKE/calls"
case "$1 $2 $3 $4" in
kustomize*) exec @KUBECTL@ "$@" ;;
"-n kontor get secret") [ -d "$FAKE/secrets/$5" ] ;;
"-n kontor create secret") mkdir -p "$FAKE/secrets" && cp -r "${7#--from-file=}" "$FAKE/secrets/$6" ;;
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

    def test_a_deployment_can_be_repeated_and_keeps_its_secrets(self):
        for script, overlay in (("deploy-charts-minikube.sh", "minikube"), ("deploy-charts-cluster.sh", "cluster")):
            with self.subTest(script), tempfile.TemporaryDirectory(prefix="kontor-scripts-") as scratch:
                fake = Path(scratch)
                for name in ("kubectl", "minikube", "helm"):
                    (fake / name).write_text(
                        _KUBECTL.replace("@KUBECTL@", shutil.which("kubectl")) if name == "kubectl"
                        else f'#!/bin/sh\necho "{name} $*" >>"$FAKE/calls"\n')
                    (fake / name).chmod(0o755)
                environment = {"FAKE": scratch, "PATH": f"{scratch}:{os.environ['PATH']}", "KONTOR_IMAGE": "registry.example/kontor:7"}
                run(REPOSITORY / script, environment=environment)
                secrets = {str(path.relative_to(fake / "secrets")): path.read_text() for path in (fake / "secrets").glob("*/*")}
                run(REPOSITORY / script, environment=environment)
                again = {str(path.relative_to(fake / "secrets")): path.read_text() for path in (fake / "secrets").glob("*/*")}
                self.assertEqual(again, secrets)
                self.assertEqual(len(set(secrets.values())), len(secrets), "each is drawn by itself")
                self.assertTrue(all(re.fullmatch(r"[0-9a-f]{48}", text) for text in secrets.values()))
                self._assert_applied(fake, overlay, secrets)

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
