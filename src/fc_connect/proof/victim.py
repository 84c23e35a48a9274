"""A run that dies where it is told to: begun in a process of its own, killed by nobody but itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fc_connect import faults
from fc_connect.pipeline import Pipeline
from fc_connect.state import Owner

__all__ = ["Death", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Where a run ends."""

    point: str
    hit: int
    """At which passing of the point, from 1."""

    def __str__(self) -> str:
        return f"{self.point}#{self.hit}"


def run(pipeline_file: Path, *, death: Death | None, counts_to: Path | None, is_stranger: bool) -> None:
    """Run a pipeline until `death`, and exit with 0 if all went well. What is printed goes to `output.txt`.

    `counts_to` gets how often each point was passed, unless death comes first. A stranger's locks can't be told
    to be a dead process's: they have to expire, as they do when another machine was lost.
    """
    output = os.open(pipeline_file.with_name("output.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    passed: Counter[str] = Counter()
    mutex = threading.Lock()

    def pass_point(name: str) -> None:
        with mutex:
            passed[name] += 1
            if death is not None and (name, passed[name]) == (death.point, death.hit):
                os.kill(os.getpid(), signal.SIGKILL)

    faults.install(pass_point)
    if is_stranger:
        unknown = Owner(host="elsewhere", pid=os.getpid())
        Owner.this_process = classmethod(lambda cls: unknown)  # type: ignore[method-assign, assignment]
    result = Pipeline.from_file(pipeline_file).run(wait=True)
    print(result)  # noqa: T201 (into the file)
    if counts_to is not None:
        counts_to.write_text("\n".join(f"{name} {count}" for name, count in passed.items()))
    sys.exit(0 if result.success else 1)
