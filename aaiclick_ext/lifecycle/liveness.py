"""Whether a kernel lives: by its process on this host, by its heartbeat elsewhere.

A process id alone says nothing: ids are given again, mean another process in another PID namespace
(a container), and start anew with the host. Together with the start time, the boot and the
namespace they name one process for ever. What cannot be judged is kept: UNKNOWN is never DEAD.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

_IS_LINUX = sys.platform == "linux"
_IS_MAC = sys.platform == "darwin"
_SAME_START_S = 0.005
"""Half a tick: the system's own resolution of start times is a hundredth of a second."""
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_DEAD_STATES = "ZX"


class Verdict(StrEnum):
    """What is known of a kernel's life."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot of one host.

    Attributes
    ----------
    host_id
        The machine's own id; ``name:…`` where it has none.
    pid
        As the process itself sees it.
    process_started
        In seconds: since the boot on Linux, where the clock may be set and moves all start times
        since 1970; since 1970 elsewhere. None where it cannot be read.
    boot_id
        Of this boot of the host, or None where the system has no such id.
    pid_namespace
        The namespace in which `pid` counts, or None where the system has none.
    """

    host_id: str | None
    host_name: str | None
    pid: int | None
    process_started: float | None
    boot_id: str | None
    pid_namespace: str | None
    user_name: str | None = None

    @classmethod
    def current(cls) -> Self:
        """Return the identity of this process."""
        pid = os.getpid()
        _, started = _look_up(pid)
        return cls(
            host_id=_host_id(),
            host_name=_host_name(),
            pid=pid,
            process_started=started,
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
            user_name=user_name(),
        )

    def __str__(self) -> str:
        user = f" of user {self.user_name}" if self.user_name else ""
        return f"process {self.pid}{user} on host {self.host_name}"


def judge(
    owner: ProcessIdentity,
    heartbeat_age_s: float | None,
    *,
    here: ProcessIdentity,
    grace_s: float,
) -> Verdict:
    """Say whether the kernel of a process lives. Looks the process up where it is one of this host.

    Parameters
    ----------
    owner
        As the kernel registered itself.
    heartbeat_age_s
        Seconds since its last heartbeat by the registry's clock, or None where it is not known.
    here
        The process that judges.
    grace_s
        How old a heartbeat must be before a process that cannot be seen from here counts as dead.
    """
    if owner.host_id is None or owner.pid is None:
        return Verdict.UNKNOWN
    if owner.host_id != here.host_id:
        return by_heartbeat(heartbeat_age_s, grace_s)
    if owner.boot_id != here.boot_id:
        return _of_another_boot(owner, heartbeat_age_s, here, grace_s)
    if owner.pid_namespace != here.pid_namespace:
        return by_heartbeat(heartbeat_age_s, grace_s)
    return _of_this_host(owner)


def by_heartbeat(heartbeat_age_s: float | None, grace_s: float) -> Verdict:
    """Say whether a kernel that cannot be seen from here lives.

    A heartbeat from the far future says that clocks disagree: nothing can be told from it.
    """
    if heartbeat_age_s is None or heartbeat_age_s < -grace_s:
        return Verdict.UNKNOWN
    return Verdict.ALIVE if heartbeat_age_s <= grace_s else Verdict.DEAD


def _of_another_boot(
    owner: ProcessIdentity,
    heartbeat_age_s: float | None,
    here: ProcessIdentity,
    grace_s: float,
) -> Verdict:
    """Say whether a kernel lives that registered under another boot of what seems to be this host.

    Copies of a virtual machine have one machine id. A heartbeat younger than this boot is from one
    of them.
    """
    uptime_s = _uptime_s()
    if owner.boot_id is None or here.boot_id is None or uptime_s is None:
        return by_heartbeat(heartbeat_age_s, grace_s)
    if heartbeat_age_s is not None and heartbeat_age_s > uptime_s:
        return Verdict.DEAD
    return by_heartbeat(heartbeat_age_s, grace_s)


def _of_this_host(owner: ProcessIdentity) -> Verdict:
    assert owner.pid is not None
    exists, started = _look_up(owner.pid)
    if exists is False:
        return Verdict.DEAD
    if exists is None or started is None or owner.process_started is None:
        return Verdict.UNKNOWN
    same = abs(started - owner.process_started) <= _SAME_START_S
    return Verdict.ALIVE if same else Verdict.DEAD


def _look_up(pid: int) -> tuple[bool | None, float | None]:
    """Return whether a process exists, None where that is not known, and when it was started."""
    return _look_up_in_proc(pid) if _IS_LINUX else _look_up_by_psutil(pid)


def _look_up_in_proc(pid: int) -> tuple[bool | None, float | None]:
    if not 0 < pid < 1 << 31:
        return None, None
    try:
        os.kill(pid, 0)  # /proc may hide the processes of other users, this does not
    except ProcessLookupError:
        return False, None
    except OSError:
        pass  # it exists, and is not ours
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        state, *fields = stat.rpartition(")")[2].split()  # the name before may hold anything
        if state in _DEAD_STATES:
            return False, None
        return True, int(fields[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None, None  # hidden, or gone since


def _look_up_by_psutil(pid: int) -> tuple[bool | None, float | None]:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False, None
        return True, process.create_time()
    except psutil.NoSuchProcess:
        return False, None
    except (psutil.Error, OSError, ValueError):
        return None, None


@cache
def _host_id() -> str:
    for path in _MACHINE_IDS:
        if found := _read(path):
            return found
    return _mac_host_id() or f"name:{_host_name()}"


def _mac_host_id() -> str | None:
    """Return the id that macOS gives to a machine."""
    if not _IS_MAC:
        return None
    import ctypes
    import uuid

    class Patience(ctypes.Structure):
        _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))

    found = ctypes.create_string_buffer(16)
    failed = ctypes.CDLL(None).gethostuuid(found, ctypes.byref(Patience(1, 0)))
    return None if failed else str(uuid.UUID(bytes=found.raw))


@cache
def _boot_id() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id")


def _uptime_s() -> float | None:
    if hasattr(time, "CLOCK_BOOTTIME"):  # goes on while the host sleeps
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return None


def _host_name() -> str:
    import socket

    return socket.gethostname()


def _pid_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  names no file
    except OSError:
        return None


def user_name() -> str | None:
    """Return who runs this process, as the system knows them; a number where that is all."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # Windows; a user that only has a number
        return str(os.getuid()) if hasattr(os, "getuid") else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None
