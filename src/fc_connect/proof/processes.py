"""Begins runs in processes of their own, from a server that has imported everything already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from fc_connect.proof import victim
from fc_connect.proof.scenario import Scenario
from fc_connect.proof.victim import Blow

__all__ = ["Started", "start"]

_POLL = 0.01  # seconds
_processes = multiprocessing.get_context("forkserver")
_mutex = threading.Lock()  # starting one process reaps the others, and two threads can't reap one


@dataclass(frozen=True, slots=True)
class Started:
    """A run in a process of its own."""

    process: BaseProcess

    def wait(self, at_most: timedelta) -> int | None:
        """Wait for the end and return the exit code; None where it had to be killed for hanging."""
        has_ended = bool(wait([self.process.sentinel], at_most.total_seconds()))
        with _mutex:
            if not has_ended:
                self.process.kill()
            self.process.join()
            return self.process.exitcode if has_ended else None

    def wait_until_stopped(self, at_most: timedelta) -> bool:
        """Wait until the process is stopped by a signal; say whether it is, rather than ended or still running."""
        deadline = time.monotonic() + at_most.total_seconds()
        while time.monotonic() < deadline and not wait([self.process.sentinel], 0):
            try:
                stat = Path(f"/proc/{self.process.pid}/stat").read_text()
            except OSError:
                return False
            if stat.rpartition(")")[2].split()[0] == "T":
                return True
            time.sleep(_POLL)
        return False

    def go_on(self) -> None:
        """Let a stopped process go on."""
        if self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGCONT)


def start(
    one: Scenario,
    *,
    blow: Blow | None = None,
    is_stranger: bool = False,
    counts_to: Path | None = None,
    sabotage: Callable[[], None] | None = None,
) -> Started:
    """Begin a run of the scenario's pipeline."""
    # Each child loads the program that is running anew; what that takes most of its time for is there already.
    programs = [name for name in ("pytest", "fc_connect.cli.main") if name in sys.modules]
    _processes.set_forkserver_preload([*victim.PRELOAD, *programs])
    process = _processes.Process(
        target=victim.run,
        args=(one.pipeline_file,),
        kwargs={"blow": blow, "counts_to": counts_to, "is_stranger": is_stranger, "sabotage": sabotage},
    )
    with _mutex:
        process.start()
    return Started(process)
