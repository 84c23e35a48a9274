"""Handing events on: one process of all does it at a time, under a lease, on threads of its own."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from fc_connect.errors import FCConnectError, KVError, LockHeldError, LockLostError, StoppedError
from fc_connect.observe import correlate, mask_secrets
from fc_connect.state import Lease
from fc_connect.webhook.inbox import Inbox, QueuedEvent

__all__ = ["HandOver", "Handler", "Retry"]

logger = logging.getLogger(__name__)

Handler = Callable[[QueuedEvent], object]
"""Called with an event; whatever it raises means that the event is handed on again later."""

T = TypeVar("T")

_LOCK = "hand-over"
_LOOK_AGAIN = timedelta(seconds=1)
"""How soon what another process accepted is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often an event is handed on, and how long it rests in between."""

    max_attempts: int = 10
    backoff: timedelta = timedelta(seconds=2)
    """After the first failure; doubles with each further one."""
    max_backoff: timedelta = timedelta(hours=1)

    def pause(self, failures: int, dice: random.Random) -> timedelta | None:
        """Return the rest after so many failures, spread by up to a fifth; None: it is given up."""
        if failures >= self.max_attempts:
            return None
        doubled = self.backoff.total_seconds() * 2.0 ** min(failures - 1, 40)
        pause = min(self.max_backoff.total_seconds(), doubled)
        return timedelta(seconds=pause * dice.uniform(0.8, 1.0))


class HandOver:
    """Calls each event's handler until it succeeds, in the order accepted where `concurrency` is 1.

    An event that fails rests and is tried again; others go on meanwhile. Where several processes share a store, the one
    that holds the lease hands on, and another takes over when it dies: at once on the same machine, else once the lease
    has run out. The note that an event was handled is written under the lease; a process that was held up past its end
    writes none, and the event is handed on again.
    """

    def __init__(
        self,
        inbox: Inbox,
        handlers: Mapping[str, Handler],
        *,
        retry: Retry | None = None,
        concurrency: int = 1,
        lease: timedelta = timedelta(seconds=30),
        dice: random.Random | None = None,
    ) -> None:
        self._inbox = inbox
        self._handlers = dict(handlers)
        self._retry = retry or Retry()
        self._concurrency = concurrency
        self._timeout = lease
        self._dice = dice or random.Random()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._mutex = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}
        self._is_holder = False
        self._thread = threading.Thread(target=self._run, name="fc-connect-hand-over", daemon=True)

    @property
    def is_holder(self) -> bool:
        """Whether this process is the one that hands on."""
        return self._is_holder

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and goes on."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, on a thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look for events now."""
        self._wake.set()

    def stop(self, grace: timedelta) -> bool:
        """Hand on no more, and wait for handlers under way; return whether all of them ended within `grace`.

        What a handler that goes on is at work on stays in the queue.
        """
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(grace.total_seconds())
        return not self._thread.is_alive() and not self._busy

    def _run(self) -> None:
        pause = _LOOK_AGAIN
        while not self._stop.is_set():
            try:
                with self._inbox.state.lock(
                    _LOCK, timeout=self._timeout, about="handing on webhooks", stop=self._stop
                ) as lease:
                    self._is_holder = True
                    pause = _LOOK_AGAIN
                    try:
                        self._hand_on(lease)
                    finally:
                        if not lease.lost.is_set():
                            self._join()  # before the lease goes: what they did is to be noted under it
            except LockHeldError as exc:
                logger.debug("another process hands on: %s", exc)
            except FCConnectError as exc:
                logger.warning("handing on stopped, and is tried again in %s: %s", pause, exc)
                pause = min(pause * 2, timedelta(seconds=30))
            except Exception:
                logger.exception("handing on failed, and is tried again in %s", pause)
                pause = min(pause * 2, timedelta(seconds=30))
            finally:
                self._is_holder = False
            self._stop.wait(pause.total_seconds())

    def _hand_on(self, lease: Lease) -> None:
        while not self._stop.is_set() and not lease.lost.is_set():
            self._wake.clear()
            with self._mutex:
                busy = frozenset(self._busy)
            free = self._concurrency - len(busy)
            try:
                events = self._inbox.due(skip=busy, limit=free) if free > 0 else []
            except KVError as exc:
                logger.warning("the queue can't be read, and is looked at again: %s", exc)
                events = []
            for event in events:
                thread = threading.Thread(
                    target=self._one,
                    args=(event, lease),
                    name=f"fc-connect-webhook-{event.hook}",
                    daemon=True,
                )
                with self._mutex:
                    self._busy[event.item_id] = thread
                thread.start()
            if not events:
                self._wake.wait(_LOOK_AGAIN.total_seconds())

    def _join(self) -> None:
        while True:
            with self._mutex:
                threads = list(self._busy.values())
            if not threads:
                return
            threads[0].join()

    def _one(self, event: QueuedEvent, lease: Lease) -> None:
        with correlate(event.item_id):
            try:
                self._handle(event, lease)
            except LockLostError:
                logger.warning(
                    "webhook %s: %s may be handed on again: the lease was lost", event.hook, event.item_id
                )
            except KVError as exc:
                logger.warning("webhook %s: %s is handed on again: %s", event.hook, event.item_id, exc)
            except Exception:
                logger.exception("webhook %s: %s failed", event.hook, event.item_id)
            finally:
                with self._mutex:
                    del self._busy[event.item_id]
                self._wake.set()

    def _handle(self, event: QueuedEvent, lease: Lease) -> None:
        handler = self._handlers.get(event.hook)
        try:
            if handler is None:
                raise LookupError(f"no hook is called {event.hook!r} any more")
            handler(event)
        except StoppedError:
            if self._stop.is_set():
                return  # it stays in the queue, without a mark against it
            self._failed(event, lease, "it was stopped")
        except Exception as exc:
            logger.debug("webhook %s: %s failed", event.hook, event.item_id, exc_info=True)
            self._failed(event, lease, mask_secrets(f"{type(exc).__name__}: {exc}"))
        else:
            self._noted(lambda: self._inbox.done(event, lease))
            logger.info("webhook %s: handled %s, attempt %d", event.hook, event.item_id, event.attempts + 1)

    def _noted(self, note: Callable[[], T]) -> T:
        """Write what became of an event, again while the store fails: unwritten, it would be handed on again.

        Raises:
            LockLostError: the lease ran out meanwhile.
        """
        pause = 0.1
        while True:
            try:
                return note()
            except KVError as exc:
                logger.warning("what became of an event can't be noted, and is tried again: %s", exc)
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _failed(self, event: QueuedEvent, lease: Lease, error: str) -> None:
        pause = self._retry.pause(event.attempts + 1, self._dice)
        later = self._noted(lambda: self._inbox.put_off(event, lease, error=error, pause=pause))
        if pause is None:
            logger.error(
                "webhook %s: gave up %s after %d attempts: %s. See: fc-connect webhook queue list --dead",
                event.hook,
                event.item_id,
                later.attempts,
                error,
            )
        else:
            logger.warning(
                "webhook %s: attempt %d at %s failed, again in %.0f s: %s",
                event.hook,
                later.attempts,
                event.item_id,
                pause.total_seconds(),
                error,
            )
