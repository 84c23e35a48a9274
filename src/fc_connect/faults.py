"""Named points at which a run can be made to die, stall or give way: how the crash tests reach every step.

A point does nothing unless a hook was installed, and only `fc_connect.proof` and the tests install one: no setting,
environment variable or input can. Points lie before and after whatever leaves the process: a write to the store, a
request, a file.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["POINTS", "install", "point"]

POINTS = (
    # the store, whatever its kind
    "kv.commit",
    "kv.committed",
    # state
    "lease.acquire",
    "lease.acquired",
    "lease.renew",
    "lease.renewed",
    "lease.release",
    "lease.released",
    "state.save-file",
    "state.saved-file",
    "state.save-batches",
    "state.saved-batches",
    "state.forget-batch",
    "state.forgot-batch",
    "state.complete",
    "state.completed",
    "state.put-away",
    "state.noted-away",
    "state.clear-batches",
    "state.cleared-batches",
    "job.create",
    "job.created",
    "job.stored",
    "job.tracked",
    # the run and its files
    "run.opened",
    "source.list",
    "run.listed",
    "sweep.clear",
    "sweep.cleared",
    "run.claimed",
    "run.ended",
    "file.begun",
    "file.planned",
    "file.turn",
    "file.delivered",
    "confirm.ask",
    "confirm.told",
    "file.confirmed",
    "file.move",
    "file.moved",
    "file.told",
    "source.opened",
    "source.read",
    "spool.opened",
    "spool.cut",
    "spool.sync",
    "spool.rename",
    "spool.renamed",
    "spool.remove",
    "spool.removed",
    "rejects.opened",
    "rejects.rename",
    "rejects.renamed",
    # sending
    "send.intended",
    "send.answered",
    "send.in-doubt",
    "send.looked-up",
    "send.settled",
    "http.request",
    "http.leave",
    "http.sent",
    "http.answered",
    "token.request",
    "token.granted",
)
"""Every point there is; a test holds this list against the code."""

_hook: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Mark the step `name`."""
    if _hook is not None:
        _hook(name)


def install(hook: Callable[[str], None] | None) -> None:
    """Call `hook` with the name of each point that is passed, on the thread that passes it; None ends it."""
    global _hook  # noqa: PLW0603 (one hook for the process is the point)
    _hook = hook
