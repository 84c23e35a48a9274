"""Leases: the right to do something alone, for a time, provable at every write.

A lease is a record that the store lets expire. A thread renews it at a third of its timeout. Whoever writes under
it checks its versionstamp in the same commit, so a worker that was paused past the expiry writes nothing, whether
or not another has taken over. What a lease can't do is stop an HTTP request that is already under way: that is
what the batch ledger's `sending` state is for.
"""

from __future__ import annotations

import logging
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from fc_connect.clock import Clock
from fc_connect.errors import (
    KVCommitUnknownError,
    KVError,
    LockHeldError,
    LockLostError,
    StateConflictError,
)
from fc_connect.faults import point
from fc_connect.kv.base import Atomic, Entry, Key, KVStore
from fc_connect.state.owner import Owner
from fc_connect.state.records import count_from, from_entry, to_json

__all__ = ["Lease", "Leases", "LockInfo", "commit_under"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockInfo:
    """A held lock, as the store has it."""

    name: str
    acquisition: str
    """A new one for every time the lock is taken."""
    owner: Owner
    token: int
    """The fencing token: grows with every acquisition of this name, for ever."""
    acquired_at: datetime
    expires_at: datetime
    """Unless it is renewed first."""
    timeout: float
    """Seconds from one renewal to the expiry."""
    about: str = ""
    """What is being done, for a person."""


class Lease:
    """A lock that is held. Made by `Leases`; used as a context manager or released by hand."""

    def __init__(
        self,
        kv: KVStore,
        info: LockInfo,
        versionstamp: str,
        held_until: float,
        *,
        clock: Clock,
        workflow: str,
        given_up: set[str],
    ) -> None:
        self.lost = threading.Event()
        """Set once it is known that the lock is no longer ours."""
        self._kv = kv
        self._key = (workflow, "lock", info.name)
        self._info = info
        self._versionstamp = versionstamp
        self._held_until = held_until
        self._held_since = clock.monotonic()
        # When the oldest of those renewals was asked for that may still arrive; None where there are none.
        self._unsettled_since: float | None = None
        self._given_up = given_up
        self._is_released = False
        self._clock = clock
        self._mutex = threading.RLock()  # a renewal moves the versionstamp that a write is about to check
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._renew_until_stopped, name=f"fc-connect-lease-{info.name}", daemon=True
        )
        self._thread.start()

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def token(self) -> int:
        """The fencing token of this acquisition."""
        return self._info.token

    @property
    def held_since(self) -> float:
        """When this process knew that the lock is its own, in seconds of its monotonic clock."""
        return self._held_since

    @property
    def info(self) -> LockInfo:
        with self._mutex:
            return self._info

    def __repr__(self) -> str:
        return f"<Lease {self.name!r} token={self.token}{' lost' if self.lost.is_set() else ''}>"

    def commit(self, write: Atomic) -> str:
        """Commit `write` only while the lock is ours, and return its versionstamp.

        Raises:
            LockLostError: the lock expired or was taken; nothing was written.
            StateConflictError: another check of `write` failed; nothing was written.
            KVCommitUnknownError: it may have been written. The lock may still be ours.
        """
        return commit_under([self], write)

    def renew(self) -> None:
        """Push the expiry out by a whole timeout.

        Raises:
            LockLostError: the lock expired or was taken.
            KVCommitUnknownError: it wasn't done, or not yet.
        """
        with self._mutex:
            self._demand_held()
            # Where an earlier renewal arrived late, this one is refused: once more, from what is there now.
            if not (self._renew_once() or (self._recognise() and self._renew_once())):
                self.lost.set()
                self._demand_held()
            point("lease.renewed")

    def _renew_once(self) -> bool:
        asked_at = self._clock.monotonic()  # before the request: the store begins its own count later
        timeout = timedelta(seconds=self._info.timeout)
        info = replace(self._info, expires_at=self._kv.now() + timeout)
        write = self._kv.atomic().check(self._key, self._versionstamp)
        write.set(self._key, to_json(info), expire_in=timeout if self._kv.has_clock else None)
        point("lease.renew")
        try:
            versionstamp = write.commit().versionstamp
        except KVCommitUnknownError:
            if self._unsettled_since is None:
                self._unsettled_since = asked_at
            before = self._versionstamp
            if not self._recognise():
                return False
            if self._versionstamp == before:
                raise  # not done, or not yet: nothing may be built upon it
            return True
        if versionstamp is None:
            return False
        self._info, self._versionstamp = info, versionstamp
        self._held_until = asked_at + info.timeout
        self._unsettled_since = None
        return True

    def _recognise(self) -> bool:
        """Say whether the record is still ours; go on with it where a renewal of unknown outcome has changed it.

        That weakens no fence: nothing but a renewal writes under this acquisition, each one checks the version before
        it, and this one is the next. So whatever else of ours is on its way, renewal or write, fails its check from
        now on. Which of several renewals it was can't be told: the oldest, for safety.
        """
        entry = self._kv.get(self._key)
        if entry is None:
            return False
        info = from_entry(entry, LockInfo)
        if info.acquisition != self._info.acquisition:
            return False
        if entry.versionstamp == self._versionstamp:
            return True
        if self._unsettled_since is None or entry.versionstamp < self._versionstamp:
            return False  # none of ours: a store that was set back
        self._info, self._versionstamp = info, entry.versionstamp
        self._held_until = max(self._held_until, self._unsettled_since + info.timeout)
        self._unsettled_since = None
        return True

    def _settle(self) -> None:
        """See to it that no renewal is on its way: it would make the check of a write fail.

        Raises:
            LockLostError: the lock expired or was taken.
            KVCommitUnknownError: it still may be.
        """
        if self._unsettled_since is not None:
            self.renew()

    def release(self) -> None:
        """Give the lock back if it is still ours. Twice is no fault.

        Raises:
            KVError: the store can't be reached; the lock then frees itself when it expires.
        """
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._mutex:
            if self._is_released:
                return
            self._is_released = True
            is_lost = self.lost.is_set()
            self.lost.set()
            if is_lost and self._unsettled_since is None and self._kv.has_clock:
                return
            point("lease.release")
            try:
                # A renewal that arrived late may have kept the lock in the store: it would stay there for nobody.
                if (not is_lost and self._free()) or (self._recognise() and self._free()):
                    point("lease.released")
            except KVError as exc:
                self._given_up.add(self._info.acquisition)
                if not (is_lost or isinstance(exc, KVCommitUnknownError)):
                    raise
                logger.warning("lock %s: the release may not have arrived; it expires by itself", self.name)

    def _free(self) -> bool:
        return self._kv.atomic().check(self._key, self._versionstamp).delete(self._key).commit().ok

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except KVError as exc:
            if error is None:
                raise
            logger.warning("lock %s: not released, it expires by itself: %s", self.name, exc)

    def demand_held(self) -> None:
        """Raise unless the lock is ours by this machine's clock. Asks nobody and waits for nothing.

        For what can't be part of a commit: called right before a request or a file leaves, it makes the moment
        short in which a worker that was held up can still do harm.

        Raises:
            LockLostError: the lock expired, or is known to be another worker's.
        """
        if self.lost.is_set() or self._clock.monotonic() >= self._held_until:
            raise self._loss()

    def _demand_held(self) -> None:
        if not self.lost.is_set() and self._clock.monotonic() >= self._held_until:
            self.lost.set()
        if self.lost.is_set():
            raise self._loss()

    def _loss(self) -> LockLostError:
        return LockLostError(
            f"The lock {self.name!r} expired or was taken by another worker; nothing was written. "
            "Run again: what was confirmed is not sent twice."
        )

    def _renew_until_stopped(self) -> None:
        pause = timedelta(seconds=self._info.timeout / 3)
        while not self._clock.wait(self._stop, pause):
            try:
                self.renew()
            except LockLostError:
                logger.warning("lock %s: lost", self.name)
                return
            except KVError as exc:
                logger.warning("lock %s: renewal failed, trying again: %s", self.name, exc)
                pause = timedelta(seconds=self._info.timeout / 12)
            else:
                pause = timedelta(seconds=self._info.timeout / 3)


def commit_under(leases: Sequence[Lease], write: Atomic) -> str:
    """Commit `write` only while every one of `leases` is held; errors as `Lease.commit`."""
    with ExitStack() as held:
        # In one order, so that no two threads wait in a ring.
        for lease in sorted(leases, key=lambda each: each.name):
            held.enter_context(lease._mutex)
            lease._settle()
        for lease in leases:
            lease._demand_held()
            write.check(lease._key, lease._versionstamp)
        result = write.commit()
        if result.ok and result.versionstamp is not None:
            return result.versionstamp
        for lease in leases:
            entry = lease._kv.get(lease._key)
            if entry is None or entry.versionstamp != lease._versionstamp:
                lease.lost.set()
                lease._demand_held()
    raise StateConflictError("A record changed since it was read; nothing was written. Read it again.")


class Leases:
    """Takes, lists and frees the locks of one workflow."""

    def __init__(
        self,
        kv: KVStore,
        workflow: str,
        *,
        clock: Clock,
        random: random.Random,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        """`guard` is called under every lock just taken; if it raises, the lock is given back."""
        self._kv = kv
        self._workflow = workflow
        self._clock = clock
        self._random = random
        self._guard = guard
        # Acquisitions of this process that nobody holds any more, whatever the store says.
        self._given_up: set[str] = set()
        self._seen: dict[str, tuple[str, float]] = {}  # for stores without a clock: versionstamp, first seen

    def acquire(
        self,
        name: str,
        *,
        timeout: timedelta,
        wait: timedelta = timedelta(0),
        about: str = "",
        stop: threading.Event | None = None,
        is_guarded: bool = True,
        watch: bool = True,
    ) -> Lease:
        """Take the lock, waiting up to `wait` for whoever holds it.

        In a store without a clock a lock that seems to have expired is watched for a whole timeout, whatever `wait`
        says: nothing else can tell that its holder is gone, and a run that doesn't wait would never find out. With
        `watch` off it is refused, and watched from then on, so that a later call waits for the rest.

        Raises:
            LockHeldError: another holds it still.
        """
        if timeout < timedelta(milliseconds=100):
            raise ValueError("A lock's timeout must be at least 100 ms: it is renewed at a third of it.")
        deadline = self._clock.monotonic() + wait.total_seconds()
        is_watched = False
        longest = (
            0.01  # seconds between two looks; a lock that is handed on is free again within milliseconds
        )
        while True:
            lease, holder = self._try(name, timeout=timeout, about=about)
            if lease is not None:
                if is_guarded:
                    self._guarded(lease)
                return lease
            if holder is not None and watch and not is_watched and self._may_be_gone(holder):
                is_watched = True
                gone_at = self._seen[name][1] + holder.timeout
                deadline = max(deadline, gone_at)
                logger.info(
                    "lock on %s: seems to be left by %s; the store has no clock, so it is watched for another %.0f s",
                    holder.about or name,
                    holder.owner,
                    gone_at - self._clock.monotonic(),
                )
            left = deadline - self._clock.monotonic()
            if left <= 0 or (stop is not None and stop.is_set()):
                break
            pause = timedelta(seconds=min(left, longest * self._random.uniform(0.5, 1.0)))
            longest = min(0.25, longest * 1.5)
            self._clock.wait(stop or threading.Event(), pause)
        if holder is None:
            raise LockHeldError(
                f"The lock {name!r} went to another worker just now.",
                owner="another worker",
                expires_at=self._kv.now() + timeout,
            )
        raise LockHeldError(
            f"The lock {name!r} is held by {holder.owner} until {holder.expires_at:%Y-%m-%d %H:%M:%S} UTC "
            "unless renewed.",
            owner=str(holder.owner),
            expires_at=holder.expires_at,
        )

    def _guarded(self, lease: Lease) -> None:
        try:
            self._guard()
        except BaseException as exc:
            lease.__exit__(type(exc), exc, None)
            raise

    def get(self, name: str) -> LockInfo | None:
        """Return who holds the lock, or None where it is free."""
        entry = self._kv.get(self.key(name))
        return None if entry is None else from_entry(entry, LockInfo)

    def key(self, name: str) -> Key:
        return (self._workflow, "lock", name)

    def holder(self, entry: Entry | None) -> LockInfo | None:
        """Return who holds the lock of `entry`, or None where it may be tried to be taken."""
        if entry is None:
            return None
        holder = from_entry(entry, LockInfo)
        return None if self._is_stale(entry, holder) else holder

    def list(self) -> Iterator[LockInfo]:
        """Yield the locks that are held."""
        for entry in self._kv.list((self._workflow, "lock")):
            yield from_entry(entry, LockInfo)

    def force_release(self, name: str, *, reason: str) -> LockInfo | None:
        """Take the lock away from whoever holds it, on a person's word; return who that was.

        The holder's next write fails. Until it notices, each of its sending threads may send one more batch: by its own
        count the lock is held until the next renewal, or until it would have expired.
        """
        key = self.key(name)
        entry = self._kv.get(key)
        if entry is None:
            return None
        info = from_entry(entry, LockInfo)
        if not self._kv.atomic().check(key, entry.versionstamp).delete(key).commit().ok:
            raise StateConflictError(f"The lock {name!r} changed just now; look at it again.")
        logger.warning("lock %s of %s was released by force: %s", name, info.owner, reason)
        return info

    def _try(self, name: str, *, timeout: timedelta, about: str) -> tuple[Lease | None, LockInfo | None]:
        key, fence_key = self.key(name), (self._workflow, "fence", name)
        asked_at = self._clock.monotonic()
        entry, fence = self._kv.get_many([key, fence_key])
        if (holder := self.holder(entry)) is not None:
            return None, holder
        gone = None if entry is None else from_entry(entry, LockInfo)
        token = 1 + count_from(fence)
        now = self._kv.now()
        info = LockInfo(
            name=name,
            acquisition=uuid.uuid4().hex,
            owner=Owner.this_process(),
            token=token,
            acquired_at=now,
            expires_at=now + timeout,
            timeout=timeout.total_seconds(),
            about=about,
        )
        write = self._kv.atomic().check(key, None if entry is None else entry.versionstamp)
        write.check(fence_key, None if fence is None else fence.versionstamp).set(fence_key, token)
        write.set(key, to_json(info), expire_in=timeout if self._kv.has_clock else None)
        point("lease.acquire")
        try:
            versionstamp = write.commit().versionstamp
        except KVCommitUnknownError:
            try:
                entry = self._kv.get(key)
                is_ours = entry is not None and from_entry(entry, LockInfo).acquisition == info.acquisition
                versionstamp = entry.versionstamp if entry is not None and is_ours else None
            except KVError:
                self._given_up.add(info.acquisition)
                raise
            if versionstamp is None:
                self._given_up.add(
                    info.acquisition
                )  # should it arrive late, it is taken over with a new token
        if versionstamp is None:
            return None, self.get(name)
        if gone is not None and gone.acquisition not in self._given_up:
            logger.warning("lock on %s: taken over from %s, which is gone", about or name, gone.owner)
        point("lease.acquired")
        held_until = asked_at + timeout.total_seconds()
        lease = Lease(
            self._kv,
            info,
            versionstamp,
            held_until,
            clock=self._clock,
            workflow=self._workflow,
            given_up=self._given_up,
        )
        return lease, None

    def _is_stale(self, entry: Entry, holder: LockInfo) -> bool:
        if holder.acquisition in self._given_up or holder.owner.is_dead():
            return True
        if self._kv.has_clock:
            return False  # an expired record would be absent
        versionstamp, since = self._seen.get(holder.name, ("", 0.0))
        if versionstamp != entry.versionstamp:
            self._watch(entry, holder)
            return False
        return self._clock.monotonic() - since >= holder.timeout

    def _may_be_gone(self, holder: LockInfo) -> bool:
        return not self._kv.has_clock and holder.name in self._seen and holder.expires_at <= self._kv.now()

    def _watch(self, entry: Entry, holder: LockInfo) -> None:
        """Note when this lock was seen, and all others: whoever died held several, and they are watched as one."""
        others = [*self._kv.list((self._workflow, "lock"))]
        now = self._clock.monotonic()  # after the reading: what was read is at least so old
        for each in others:
            name = str(each.key[-1])
            if self._seen.get(name, ("", 0.0))[0] != each.versionstamp:
                self._seen[name] = (each.versionstamp, now)
        if self._seen.get(holder.name, ("", 0.0))[0] != entry.versionstamp:
            self._seen[holder.name] = (entry.versionstamp, now)  # it changed meanwhile
