"""Disks that misbehave: system calls that fail or take long (strace), file systems that are small (tmpfs), and power cuts
(an ext4 image whose file system is shut down without writing its log). All of it needs root."""

import contextlib
import fcntl
import os
import re
import struct
import subprocess
import tempfile
from pathlib import Path

from Tests.kontor_testing.polling import eventually
from Tests.kontor_testing.proc import thread_files, thread_states
from Tests.kontor_testing.programs import run

# linux/fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN and its flags.
_EXT4_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_WITH_FLUSH = 0
SHUTDOWN_WITH_LOG_FLUSH = 1
SHUTDOWN_WITHOUT_FLUSH = 2

SYNC_CALLS = "fsync,fdatasync"
# All that changes files.
CHANGING_CALLS = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "renameat", "fallocate", "mkdir")


def killed_at(call: str, count: int) -> list:
    """The words before a command that make it end by SIGKILL when one of its threads begins this system call for the so many-th
    time. The command keeps its process id."""
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
            f"inject={call}:signal=KILL:when={count}"]


@contextlib.asynccontextmanager
async def injected(pid: int, fault: str, calls: str = SYNC_CALLS):
    """While the block runs, these calls of process `pid` have this fault, in strace's words, such as `error=EIO:when=3`, where
    each thread counts for itself. All system calls of the process are slow meanwhile."""
    with tempfile.NamedTemporaryFile() as log:
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}",
             "-o", log.name, "-p", str(pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            await eventually(lambda: _is_traced(pid, tracer), "strace's attaching to all threads")
            yield
        finally:
            _end(tracer)


def _end(tracer: subprocess.Popen):
    """Asks strace to let go of the process. It can wait for ever when that is just dying, and then is killed."""
    tracer.terminate()
    try:
        tracer.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.communicate()


def _is_traced(pid: int, tracer: subprocess.Popen) -> bool:
    if tracer.poll() is not None:
        raise AssertionError(f"strace cannot attach: {tracer.communicate()[1].decode()}")
    return all(f"TracerPid:\t{tracer.pid}" in text for text in thread_files(pid, "status"))


def is_held_in_sync(pid: int) -> bool:
    """Whether strace delays one of the process's threads now."""
    return "t" in thread_states(pid)


class SmallDisk:
    """A tmpfs of so many bytes, and ballast that fills it."""

    def __init__(self, path: Path, size: int):
        self.path = path
        self._ballast = path / "ballast"
        path.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "kontor-test", path)

    def fill(self):
        """Leaves no free block. May be called again when others have freed some."""
        with open(self._ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self):
        self._ballast.unlink()

    def remove(self):
        run("umount", self.path)


class FragileDisk:
    """An ext4 file system in an image, whose power can be cut."""

    def __init__(self, directory: Path, size: int):
        directory.mkdir()
        self._image = directory / "image"
        self.path = directory / "mounted"
        self.path.mkdir()
        with open(self._image, "wb") as file:
            self._make_image(file, size)
        run("mkfs.ext4", "-q", "-E", "nodiscard", self._image)
        self._mount()

    def _make_image(self, file, size: int):
        file.truncate(size)

    def _mount(self):
        run("mount", "-o", "loop", self._image, self.path)

    def cut_power(self, flag: int):
        """From now on nothing reaches the image; whatever was not synced is lost."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(descriptor)

    def power_up(self):
        """What a boot does: forgets the cache, mounts, and replays the file system's log."""
        run("umount", self.path)
        self._mount()

    def remove(self):
        """Unmounts, if it is mounted."""
        if os.path.ismount(self.path):
            run("umount", self.path)


class FailingDisk(FragileDisk):
    """An ext4 file system in an image on a tmpfs. The image has all of its blocks, until some are taken away and the tmpfs is
    filled: then writes to them fail, after write() has said that all is well, and so do their syncs."""

    def __init__(self, directory: Path, size: int):
        directory.mkdir()
        self._small = SmallDisk(directory / "small", size + (16 << 20))
        super().__init__(directory / "small" / "disk", size)

    def _make_image(self, file, size: int):
        os.posix_fallocate(file.fileno(), 0, size)

    def fail_behind(self, path: Path, most_bytes: int):
        """From now on what is written to a file behind its present end, up to so many bytes, never reaches the image."""
        block = 4096
        first = path.stat().st_size // block + 1
        for start, physical, length in self._extents(path, block):
            begin, end = max(start, first), min(start + length, first + most_bytes // block)
            if begin < end:
                run("fallocate", "--punch-hole", "--keep-size", "--offset", (physical + begin - start) * block, "--length",
                    (end - begin) * block, self._image)
        self._small.fill()

    def heal(self):
        """Writes reach the image again. Those that have failed are not repeated."""
        self._small.free()

    @staticmethod
    def _extents(path: Path, block: int) -> list:
        """The first block of each extent, where it lies in the image, and how many blocks it has; reserved ones too."""
        listing = subprocess.run(["filefrag", "-v", f"-b{block}", path], check=True, capture_output=True, text=True).stdout
        rows = re.findall(r"^ *\d+: *(\d+)\.\. *\d+: *(\d+)\.\. *\d+: *(\d+):", listing, re.MULTILINE)
        return [tuple(map(int, row)) for row in rows]

    def remove(self):
        super().remove()
        self._small.remove()
