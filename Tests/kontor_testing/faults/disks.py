"""Disks that misbehave: system calls that fail or take long (strace), file systems that are small (tmpfs), and power cuts
(an ext4 image whose file system is shut down without writing its log). All of it needs root."""

import contextlib
import fcntl
import os
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
            file.truncate(size)
        run("mkfs.ext4", "-q", self._image)
        self._mount()

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
