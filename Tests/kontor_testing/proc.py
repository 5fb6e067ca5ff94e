"""What proc(5) says about processes."""

import contextlib
import os
from pathlib import Path


def stat_fields(pid: int) -> list:
    """The fields of a process behind its name: the state first, the session at 3, ticks of processor time at 11 and 12."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def session_members(session: int) -> list:
    """The processes of a session that live, by id."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = stat_fields(int(entry.name))
                if int(fields[3]) == session and fields[0] not in "ZX":
                    pids.append(int(entry.name))
    return pids


def cpu_seconds(*pids: int) -> float:
    """What these processes have used of the processors so far, without their children."""
    ticks = 0
    for pid in pids:
        fields = stat_fields(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """The memory of a process, without what it only maps from files."""
    for text in Path(f"/proc/{pid}/status").read_text().splitlines():
        if text.startswith("RssAnon:"):
            return int(text.split()[1]) * 1024
    raise AssertionError("the process has no RssAnon")


def socket_bytes() -> int:
    """The memory of all TCP sockets of this machine, which is in no process."""
    words = next(line.split() for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")


def unread_connections(port: int) -> int:
    """How many connections to this port have bytes that its process has not read yet."""
    # The local address, the state (01: established), and the bytes to be sent and to be read, in hexadecimal.
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(local.split(":")[1], 16) == port and state == "01" and int(queues.split(":")[1], 16) > 0
        for _, local, _, state, queues, *_ in lines)


def thread_files(pid: int, name: str) -> list:
    """This file of each thread that lives."""
    texts = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            texts.append((thread / name).read_text())
    return texts


def thread_states(pid: int) -> list:
    """The state of each thread, a letter each."""
    return [text.rsplit(")", 1)[1].split()[0] for text in thread_files(pid, "stat")]
