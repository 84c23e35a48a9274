"""Asks after a batch until Fluent has finished with it."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import FluentUnavailableError

if TYPE_CHECKING:
    from fc_connect.fluent import BatchStatus, FluentClient

__all__ = ["confirm"]

logger = logging.getLogger(__name__)


def confirm(
    client: FluentClient,
    job_id: str,
    batch_id: str,
    *,
    timeout: timedelta = timedelta(minutes=10),
    first_wait: timedelta = timedelta(milliseconds=500),
    max_wait: timedelta = timedelta(seconds=15),
    clock: Clock | None = None,
    random: Random | None = None,
    stop: threading.Event | None = None,
) -> BatchStatus:
    """Ask after a batch until it is done, ever more slowly; return what was last seen of it.

    At the end of `timeout`, or once `stop` is set, a batch that is still under way comes back with `is_done`
    False: that says nothing against it. Of a batch that is done, `rejected` holds what wasn't applied, and
    `is_complete_list` says whether Fluent told the fate of every entity. Safe to call again at any time.

    Raises:
        FluentUnavailableError: Fluent couldn't be reached even once. Nothing is known of the batch: this
            is no leave to send it again.
        FluentAPIError: Fluent doesn't know the batch, or answers nothing of use.
    """
    clock = clock or SystemClock()
    random = random or Random()
    deadline = clock.monotonic() + timeout.total_seconds()
    wait = first_wait
    seen: BatchStatus | None = None
    while True:
        failure: FluentUnavailableError | None = None
        try:
            seen = client.get_batch_status(job_id, batch_id)
            if seen.is_done:
                return seen
        except FluentUnavailableError as exc:
            failure = exc
            logger.warning("batch %s of job %s: can't be asked after now: %s", batch_id, job_id, exc)
        left = timedelta(seconds=deadline - clock.monotonic())
        stopped = stop is not None and stop.is_set()
        if (
            left <= timedelta(0)
            or stopped
            or _waited(clock, stop, min(left, wait * random.uniform(0.75, 1.0)))
        ):
            if seen is not None:
                return seen
            if failure is not None:
                raise failure
        wait = min(wait * 2, max_wait)


def _waited(clock: Clock, stop: threading.Event | None, duration: timedelta) -> bool:
    """Wait, and say whether `stop` was set meanwhile."""
    if stop is None:
        clock.sleep(duration)
        return False
    return clock.wait(stop, duration)
