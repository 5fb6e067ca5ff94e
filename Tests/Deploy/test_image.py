"""The image that the run stage of the real Dockerfile makes: small, not root, nothing to write to, and with all that the binary needs."""

import sys
import unittest

from Tests.Deploy.podman import DEBIAN, KONTOR, Podman
from Tests.kontor_testing.polling import eventually_blocking

# Compressed layers are smaller; this is what lies on a disk, without the base that other images share.
_MOST_BYTES_OVER_BASE = 110_000_000


class ImageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.podman = Podman()
        cls.addClassCleanup(cls.podman.close)
        cls.podman.make_images()

    def test_it_is_small(self):
        bytes = self.podman.json("image", "inspect", KONTOR)[0]["Size"]
        base = self.podman.json("image", "inspect", DEBIAN)[0]["Size"]
        print(f"\n    the image has {bytes / 1e6:.0f} MB, {(bytes - base) / 1e6:.0f} MB over its base", file=sys.stderr)
        self.assertLess(bytes - base, _MOST_BYTES_OVER_BASE)

    def test_it_is_not_root_and_says_how_it_is_started_and_asked(self):
        config = self.podman.json("image", "inspect", KONTOR)[0]["Config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["kontor"], ["serve"]))
        self.assertEqual(self.podman.json("image", "inspect", KONTOR)[0]["Healthcheck"]["Test"], ["CMD", "kontor", "health"])
        self.assertIn("Usage", self.podman("run", "--rm", "--network", "none", KONTOR, "--help").title())

    def test_it_says_its_licence_and_has_those_of_what_it_contains(self):
        config = self.podman.json("image", "inspect", KONTOR)[0]["Config"]
        self.assertEqual(config["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0")
        found = self.podman("run", "--rm", "--network", "none", "--entrypoint", "find", KONTOR, "/usr/share/doc/kontor", "-type", "f")
        for path in ("LICENSE", "NOTICE", "swift-nio/LICENSE.txt", "swift-nio/NOTICE.txt", "GRDB.swift/LICENSE"):
            self.assertIn(f"/usr/share/doc/kontor/{path}", found.split())

    def test_the_whole_shop_runs_in_one_container_with_nothing_but_its_volume_to_write_to(self):
        self.podman("run", "-d", "--name", "single", "--network", "none", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL",
                    "--security-opt", "no-new-privileges", "--restart", "always", "-v", "single:/data", KONTOR)
        eventually_blocking(lambda: self.podman.is_healthy("single"), "the health of a shop in one container")
        self.assertIn("Alive", self.podman("exec", "single", "kontor", "health", "--live"))
        self.podman.crash("single")
        eventually_blocking(lambda: self.podman.inspect("single")["RestartCount"] == 1, "the restart after a crash")
        eventually_blocking(lambda: self.podman.is_healthy("single"), "the health after a crash")
        self.assertIn("The books balance", self.podman("exec", "single", "kontor", "audit"))
        self.podman("stop", "-t", "30", "single")
        self.assertEqual(self.podman.inspect("single")["State"]["ExitCode"], 0, "it does not end when it is asked to")
