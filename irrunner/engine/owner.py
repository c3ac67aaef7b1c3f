"""Who drives a run: the name of a process in leases, and whether the process of a name is gone.

A lease expires by itself after its time; after a crash on this machine nobody should have to wait for
that. A process is known to be gone only where the name proves it: same machine since the same boot, same
process namespace, and no process of that number that began at that time.
"""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from irrunner.journal.store import Lease, Store

LEASE_TTL_S = 30.0
_PROC = Path("/proc")


def owner_name() -> str:
    """Return the name of this process in leases: place, process, its start, a random part."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid)}:{os.urandom(4).hex()}"


def is_gone(owner: str) -> bool:
    """Return whether the process of a lease has certainly ended; False where that cannot be known."""
    place, pid, started, _ = (*owner.rsplit(":", 3), "", "", "")[:4]
    if not pid.isdigit() or not started.isdigit() or place != _place():
        return False
    return _started(int(pid)) != started


def take_lease(store: Store, run_id: str, owner: str) -> Lease | None:
    """Take a run's lease if it is free, expired, or held by a process that is gone.

    Args:
        store: The store.
        run_id: The run.
        owner: Our name.

    Returns:
        The lease; None if another process drives the run.

    Raises:
        RunNotFound: If there is no such run.
        RunNotResumable: If it has ended.
    """
    lease = store.acquire(run_id, owner, LEASE_TTL_S)
    if lease is not None:
        return lease
    holder = store.run(run_id).owner
    if holder is None or not is_gone(holder):
        return None
    return store.acquire(run_id, owner, LEASE_TTL_S, instead_of=holder)


def _place() -> str:
    """Return what process numbers are unique in: host, boot, process namespace."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        namespace = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str:
    """Return when a process began, in ticks since boot; empty where there is none or it cannot be told.

    Source: proc_pid_stat(5), field 22; the name in field 2 may hold spaces and parentheses.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def os_user() -> str:
    """Return the name of the OS user; its number where it has no name (a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
