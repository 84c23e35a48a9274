"""A run that is struck where it is told to: begun in a process of its own, killed or stopped by nobody but itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fc_connect import faults
from fc_connect.pipeline import Pipeline
from fc_connect.state import Owner

__all__ = ["PRELOAD", "Blow", "run"]

PRELOAD = [
    "fc_connect.proof.victim",
    *(f"fc_connect.kv.{name}" for name in ("sqlite", "redis", "postgresql", "nats", "dynamodb", "deno")),
    *("fc_connect.fluent.client", "fc_connect.sources.local", "fc_connect.formats.csv", "psycopg_pool"),
    *("stringprep", "encodings.idna"),
]
"""What a process imports once, so that its children needn't; what isn't there is passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """Where a run is struck, and with which signal."""

    point: str
    hit: int
    """At which passing of the point, from 1."""
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.point}#{self.hit}"


def run(
    pipeline_file: Path,
    *,
    blow: Blow | None,
    counts_to: Path | None,
    is_stranger: bool,
    sabotage: Callable[[], None] | None,
) -> None:
    """Run a pipeline until `blow`, and exit with 0 if all went well. What is printed goes to `output.txt`.

    `counts_to` gets how often each point was passed, unless the run dies first. A stranger's locks can't be told
    to be a dead process's: they have to expire, as they do when another machine was lost. `sabotage` is called
    first: it breaks the product, to see whether the judge notices.
    """
    output = os.open(pipeline_file.with_name("output.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    passed: Counter[str] = Counter()
    mutex = threading.Lock()

    def pass_point(name: str) -> None:
        with mutex:
            passed[name] += 1
            is_struck = blow is not None and (name, passed[name]) == (blow.point, blow.hit)
        if blow is not None and is_struck:
            os.kill(os.getpid(), blow.signal)

    faults.install(pass_point)
    if is_stranger:
        unknown = Owner(host="elsewhere", pid=os.getpid())
        Owner.this_process = classmethod(lambda cls: unknown)  # type: ignore[method-assign, assignment]
    if sabotage is not None:
        sabotage()
    result = Pipeline.from_file(pipeline_file).run(wait=True)
    print(result)  # noqa: T201 (into the file)
    if counts_to is not None:
        counts_to.write_text("\n".join(f"{name} {count}" for name, count in passed.items()))
    sys.exit(0 if result.success else 1)
