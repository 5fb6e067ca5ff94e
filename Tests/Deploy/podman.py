"""Podman with a storage of its own below .build, so that all that is in there is ours; and the images that the deployment names.

No registry is needed: Debian's base image is made by debootstrap, those of Redis and nginx from it (see images/), and the shop's by
the run stage of the real Dockerfile, with the binary that `make build` made in the place of the build stage.
"""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

from Tests.kontor_testing.programs import BINARY, REPOSITORY, end_well, run

HERE = Path(__file__).resolve().parent
CACHE = REPOSITORY / ".build" / "deploy"

DEBIAN = "docker.io/library/debian:bookworm-slim"
STANDINS = {"docker.io/library/redis:7.2-bookworm": "redis.Dockerfile", "docker.io/library/nginx:1.28-bookworm": "nginx.Dockerfile"}
KONTOR = "localhost/kontor:local"
# The official slim image leaves these out.
_NOT_IN_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt/archives", "var/lib/apt/lists")
# For packages, a build uses the network and the settings of this machine.
_HOSTS_PACKAGES = ("--network", "host", "-v", "/etc/apt:/etc/apt:ro", "-v", "/usr/share/keyrings:/usr/share/keyrings:ro")

_RAISES_NO_LIMITS = """\
[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{run}/tmp"
[network]
network_config_dir = "{cache}/networks"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{cache}/storage"
runroot = "{run}/root"
"""

# Containers do not end with this process.
end_well()


class Podman:
    """One podman, whose containers, networks and volumes are all removed at the end. Images stay for the next run."""

    def __init__(self):
        # Short, since sockets lie in it; and always the same for this clone: podman's database remembers it.
        self._run = Path(tempfile.gettempdir()) / f"kontor-podman-{zlib.crc32(str(CACHE).encode()):08x}"
        for path in (CACHE / "networks", self._run / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        values = {"cache": CACHE, "run": self._run}
        (self._run / "containers.conf").write_text(_RAISES_NO_LIMITS.format(**values))
        (self._run / "storage.conf").write_text(_STORAGE.format(**values))
        self.environment = {
            "CONTAINERS_CONF": str(self._run / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(self._run / "storage.conf")}
        # What a run that was killed left.
        self.clear()
        atexit.register(self.close)

    def __call__(self, *words, **options) -> str:
        return run("podman", *words, environment=self.environment, **options)[1]

    def json(self, *words):
        return json.loads(subprocess.run(
            ["podman", *words, "--format", "json"], env={**os.environ, **self.environment}, check=True, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout or "null")

    def clear(self):
        for words in (("pod", "rm", "-a", "-f", "-t", "0"), ("rm", "-a", "-f", "-t", "0"), ("volume", "rm", "-a", "-f"),
                      ("secret", "rm", "-a"), ("network", "prune", "-f")):
            run("podman", *words, environment=self.environment, check=False)

    def close(self):
        if not self._run.exists():
            return
        self.clear()
        shutil.rmtree(self._run, ignore_errors=True)

    # Containers

    def inspect(self, container: str) -> dict:
        return self.json("container", "inspect", container)[0]

    def ended(self, container: str):
        """Its last state, with `ExitCode`; None while it runs."""
        state = self.inspect(container)["State"]
        return state if state["Status"] in ("exited", "stopped") else None

    def is_healthy(self, container: str) -> bool:
        """What a container engine with a clock of its own (podman has systemd's) would find out now."""
        return run("podman", "healthcheck", "run", container, environment=self.environment, check=False, seconds=30)[0] == 0

    def crash(self, container: str):
        """kill -9 of what runs in it, from outside: the engine sees it end by itself, and does what its restart policy says.
        (`podman kill`, like `docker kill`, is somebody's wish that it ends.)"""
        pid = self.inspect(container)["State"]["Pid"]
        assert pid > 1, f"{container} does not run"
        os.kill(pid, 9)

    # Images

    def has(self, image: str) -> bool:
        return run("podman", "image", "exists", image, environment=self.environment, check=False)[0] == 0

    def make_images(self):
        self.make_standins()
        self.make_kontor()

    def make_standins(self):
        """All but the shop's."""
        if not self.has(DEBIAN):
            self._make_base()
        for image, file in STANDINS.items():
            if not self.has(image):
                self("build", "-q", *_HOSTS_PACKAGES, "-t", image, "-f", HERE / "images" / file, HERE / "images", seconds=300)

    def _make_base(self):
        with tempfile.TemporaryDirectory(prefix="kontor-debootstrap-") as scratch:
            root = Path(scratch) / "root"
            run("debootstrap", "--variant=minbase", "bookworm", root, seconds=600)
            for path in _NOT_IN_SLIM:
                shutil.rmtree(root / path, ignore_errors=True)
                (root / path).mkdir(parents=True)
            run("tar", "-C", root, "-cf", Path(scratch) / "base.tar", ".")
            self("import", Path(scratch) / "base.tar", DEBIAN, seconds=300)

    def make_kontor(self, source=REPOSITORY):
        with tempfile.TemporaryDirectory(prefix="kontor-image-") as scratch:
            # What the build stage leaves: /kontor, stripped, and /licences.
            run("strip", "-o", Path(scratch) / "kontor", BINARY)
            run(REPOSITORY / "scripts" / "licences", Path(scratch) / "licences")
            self("build", "--format", "docker", *_HOSTS_PACKAGES, "--build-context", f"build={scratch}", "--target", "run",
                 "-t", KONTOR, source, seconds=300)


def clean_clone(directory: Path) -> Path:
    """What somebody who clones the repository has: no ignored file. (What is not committed yet is in it, too.)"""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, check=True, timeout=60,
        stdout=subprocess.PIPE).stdout.decode().split("\0")
    for name in filter(None, names):
        source = REPOSITORY / name
        if source.is_symlink() or source.is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, directory / name, follow_symlinks=False)
    return directory
