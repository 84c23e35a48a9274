"""Ways to break the product on purpose: each is installed in a process of its own, and a judge must notice it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fc_connect.kv.base import Atomic
from fc_connect.pipeline.sender import Sender
from fc_connect.state import BatchRecord, BatchState, FileRecord, Lease
from fc_connect.state.batches import BatchLedger
from fc_connect.state.lease import commit_under

__all__ = [
    "count_down_the_fence",
    "forget_intents",
    "keep_locks",
    "lose_a_batch",
    "send_again",
    "send_unguarded",
]


def forget_intents() -> None:
    """Keep no record of a batch before it is sent: a death between the two leaves no doubt behind."""
    put = BatchLedger.put

    def without_intents(
        self: BatchLedger, write: Atomic, file: FileRecord, batches: Iterable[BatchRecord]
    ) -> Atomic:
        return put(self, write, file, [each for each in batches if each.state is BatchState.SENT])

    BatchLedger.put = without_intents  # type: ignore[method-assign]


def send_again() -> None:
    """Take what was sent by an earlier run for unsent."""

    def nothing(self: BatchLedger, file: FileRecord) -> Any:
        return iter(())

    BatchLedger.of = nothing  # type: ignore[method-assign]


def lose_a_batch() -> None:
    """Take what an earlier run left in doubt for arrived."""

    def arrived(self: Sender, record: BatchRecord, *_: Any, **__: Any) -> BatchRecord:
        return self._confirm(record, "999999", is_new=False)

    Sender._look_up = arrived  # type: ignore[method-assign]


def keep_locks() -> None:
    """Release no file, and renew its lock to the end of the process."""
    release = Lease.release

    def stay(self: Lease) -> None:
        if not self.name.startswith("file:"):
            release(self)

    Lease.release = stay  # type: ignore[method-assign]


def count_down_the_fence() -> None:
    """Write a smaller token over the fence at every release."""
    release = Lease.release

    def sink(self: Lease) -> None:
        commit_under([self], self._kv.atomic().set((self._key[0], "fence", self.name), 0))
        release(self)

    Lease.release = sink  # type: ignore[method-assign]


def send_unguarded() -> None:
    """Send without a last look at the lease."""

    def nothing(self: Sender) -> None:
        return

    Sender._demand_held = nothing  # type: ignore[method-assign]
