"""Who holds a lease, told finely enough that a dead holder on this machine is recognised at once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process. Two processes are never equal, not even after a reboot or with the same pid."""

    host: str
    pid: int
    started: str | None = None
    """When the process began, in the kernel's ticks since boot; tells a reused pid apart."""
    boot_id: str | None = None
    pid_namespace: str | None = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def this_process(cls) -> Owner:
        """Describe the process that asks; fields that this system can't tell are None."""
        return cls(
            host=socket.gethostname(),
            pid=os.getpid(),
            started=_start_of(os.getpid()),
            boot_id=_boot_id(),
            pid_namespace=_pid_namespace(),
        )

    def is_dead(self) -> bool:
        """Say whether this process is known to have ended. False where that can't be known from here."""
        here = (_boot_id(), _pid_namespace())
        if None in here or (self.boot_id, self.pid_namespace) != here or self.started is None:
            return False
        return _start_of(self.pid) != self.started


def _boot_id() -> str | None:
    return _read("/proc/sys/kernel/random/boot_id")


def _pid_namespace() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The second field is the program's name in brackets, and may hold brackets and spaces itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
